package web

import (
	"context"
	"fmt"
	"time"

	"vcsagent/gateway/store"
)

const day = 24 * time.Hour

// chart is a picture of requests over time: a bar for each span, in which the
// served are below, then the denied, then those that failed. Measures are the
// SVG's own units.
type chart struct {
	Width, Height          int
	Bars                   []bar
	Served, Denied, Failed int64
	Most                   int64  // in one bar
	Text                   string // the same in words
	From, To               time.Time
}

type bar struct {
	X, Width float64
	Parts    []part
	Title    string
}

type part struct {
	Kind      string // served, denied or failed: the class that colours it
	Y, Height float64
}

// Total is how many requests the picture shows.
func (c *chart) Total() int64 { return c.Served + c.Denied + c.Failed }

// traffic draws the requests to a pool ("": all) of the last 24 hours.
func (s *server) traffic(ctx context.Context, poolID string, bucket time.Duration, width, height int) (*chart, error) {
	to := time.Now()
	buckets, err := s.control.Traffic(ctx, poolID, to.Add(-day), to, bucket)
	if err != nil {
		return nil, err
	}
	return draw(buckets, bucket, width, height), nil
}

func draw(buckets []store.Bucket, span time.Duration, width, height int) *chart {
	c := &chart{Width: width, Height: height}
	var busiest time.Time
	for _, b := range buckets {
		c.Served, c.Denied, c.Failed = c.Served+b.Served, c.Denied+b.Denied, c.Failed+b.Failed
		if n := b.Served + b.Denied + b.Failed; n > c.Most {
			c.Most, busiest = n, b.Start
		}
	}
	if len(buckets) == 0 {
		c.Text = "No requests."
		return c
	}
	c.From, c.To = buckets[0].Start, buckets[len(buckets)-1].Start.Add(span)
	c.Text = "No requests in the last 24 hours."
	if c.Most > 0 {
		c.Text = fmt.Sprintf("%s in the last 24 hours: %s served, %s denied, %s failed. Most, %s, in the %v from %s UTC.",
			count(c.Total(), "request"), number(c.Served), number(c.Denied), number(c.Failed), number(c.Most), inWords(span), busiest.Format("15:04"))
	}
	step := float64(width) / float64(len(buckets))
	gap := min(step/4, 2)
	for i, b := range buckets {
		n := b.Served + b.Denied + b.Failed
		if n == 0 {
			continue
		}
		one := bar{X: float64(i)*step + gap/2, Width: step - gap,
			Title: fmt.Sprintf("%s UTC: %s served, %s denied, %s failed", b.Start.Format("15:04"), number(b.Served), number(b.Denied), number(b.Failed))}
		// At least a pixel: one denial among thousands is to be seen.
		tall := func(n int64) float64 {
			if n == 0 {
				return 0
			}
			return max(float64(n)/float64(c.Most)*float64(height), 1)
		}
		denied, failed := tall(b.Denied), tall(b.Failed)
		served := min(tall(b.Served), float64(height)-denied-failed)
		y := float64(height)
		for _, p := range []part{{"served", 0, served}, {"denied", 0, denied}, {"failed", 0, failed}} {
			if p.Height > 0 {
				y -= p.Height
				one.Parts = append(one.Parts, part{p.Kind, y, p.Height})
			}
		}
		c.Bars = append(c.Bars, one)
	}
	return c
}

// inWords is a bucket's width.
func inWords(span time.Duration) string {
	if span%time.Hour == 0 {
		return count(int(span/time.Hour), "hour")
	}
	return count(int(span/time.Minute), "minute")
}
