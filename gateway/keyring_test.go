package gateway_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway"
)

// asked counts the questions to what a table remembers.
type asked struct {
	n     int
	value string
	err   error
}

func (a *asked) load() (string, error) {
	a.n++
	return a.value, a.err
}

func TestWhatIsRevokedStopsWithinTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table gateway.Table
		src := asked{value: "first"}
		want := func(value string, err error, questions int) {
			t.Helper()
			got, gotErr := table.Get("k", src.load)
			if got != value || gotErr != err || src.n != questions {
				t.Errorf("%q, %v after %d questions, want %q, %v after %d", got, gotErr, src.n, value, err, questions)
			}
		}
		want("first", nil, 1)
		src.value = "second"
		time.Sleep(gateway.KeyringTTL - 1)
		want("first", nil, 1)
		time.Sleep(time.Nanosecond)
		want("second", nil, 2)
		gone := errors.New("revoked")
		src.value, src.err = "", gone
		time.Sleep(gateway.KeyringTTL)
		want("", gone, 3)
		want("", gone, 4) // not remembered
		if table.Len() != 0 {
			t.Errorf("%d are remembered", table.Len())
		}
		src.value, src.err = "third", nil
		want("third", nil, 5) // nor in the way
	})
}

// Guesses take no place, and what's in use can't grow without bound.
func TestKeyringIsBounded(t *testing.T) {
	var table gateway.Table
	for i := range 2 * gateway.KeyringSize {
		table.Get("guess "+strconv.Itoa(i), func() (string, error) { return "", errors.New("none") })
	}
	if table.Len() != 0 {
		t.Errorf("%d guesses are remembered", table.Len())
	}
	for i := range 3*gateway.KeyringSize + 1 {
		table.Get(strconv.Itoa(i), func() (string, error) { return "v", nil })
		if table.Len() > gateway.KeyringSize {
			t.Fatalf("%d are remembered", table.Len())
		}
	}
	if table.Len() != 1 {
		t.Errorf("%d are remembered after the table was full for the third time", table.Len())
	}
}

func TestKeyringTogether(t *testing.T) {
	var table gateway.Table
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 1000 {
				key := strconv.Itoa(j % 7)
				got, err := table.Get(key, func() (string, error) {
					if (i+j)%5 == 0 {
						return "", errors.New("none")
					}
					return "v" + key, nil
				})
				if err == nil && got != "v"+key {
					t.Errorf("%s gives %q", key, got)
				}
			}
		})
	}
	wg.Wait()
}

// What was asked before a change may be what was before it, and is not remembered.
func TestChangesAreNotOutlivedByQuestions(t *testing.T) {
	var table gateway.Table
	got, err := table.Get("k", func() (string, error) {
		table.Forget()
		return "from before", nil
	})
	if got != "from before" || err != nil || table.Len() != 0 {
		t.Errorf("%q, %v; %d are remembered", got, err, table.Len())
	}
	table.Get("k", func() (string, error) { return "first", nil })
	table.Forget()
	if got, _ := table.Get("k", func() (string, error) { return "second", nil }); got != "second" {
		t.Errorf("%q after a change", got)
	}
}
