package main_test

import (
	"testing"
	"time"

	bench "vcsagent/test/bench"
)

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		sorted  []time.Duration
		percent int
		want    time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 50, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{7, 8}, 50, 7},
		{[]time.Duration{7, 8, 9}, 50, 8},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred[:99], 99, 99},
		{hundred[:98], 99, 98},
	} {
		if got := bench.Quantile(c.sorted, c.percent); got != c.want {
			t.Errorf("quantile %d of %d values is %d, want %d", c.percent, len(c.sorted), got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
		{[]float64{9, 1, 2, 4}, 3},
	} {
		before := append([]float64(nil), c.values...)
		if got := bench.Median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
		for i := range before {
			if before[i] != c.values[i] {
				t.Errorf("%v was reordered to %v", before, c.values)
			}
		}
	}
}
