package clients_test

import (
	"reflect"
	"time"
)

// filled returns a value with every exported field set, so that a library sends
// every key that it knows. The edits are for fields that want more than just
// some value, or that must stay empty.
func filled[T any](edits ...func(*T)) *T {
	v := new(T)
	fill(reflect.ValueOf(v).Elem(), nil)
	for _, edit := range edits {
		edit(v)
	}
	return v
}

// moment is the time of every filled field. It isn't in UTC, so that the "+" of
// its zone's offset has to come through.
var moment = time.Date(2024, 5, 6, 7, 8, 9, 0, time.FixedZone("", 2*60*60))

// fill sets v. A type that holds itself, at whatever depth, ends in a nil.
func fill(v reflect.Value, within []reflect.Type) {
	if !v.CanSet() {
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(moment))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(7.5)
	case reflect.String:
		v.SetString("a b/c+d&e=%")
	case reflect.Pointer:
		to := reflect.New(v.Type().Elem())
		fill(to.Elem(), within)
		v.Set(to)
	case reflect.Slice:
		one := reflect.MakeSlice(v.Type(), 1, 1)
		fill(one.Index(0), within)
		v.Set(one)
	case reflect.Struct:
		for _, t := range within {
			if t == v.Type() {
				return
			}
		}
		for i := range v.NumField() {
			fill(v.Field(i), append(within, v.Type()))
		}
	}
}
