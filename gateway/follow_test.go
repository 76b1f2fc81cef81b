package gateway_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
)

// Each follower gets each request once it's stored; one that doesn't read is cut
// off and holds up nobody.
func TestFollowersAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{}
		r := record(s, true)
		slow, quick := r.Follow(t.Context()), r.Follow(t.Context())
		const n = gateway.FollowerBuffer + gateway.BatchSize
		var got []string
		for len(got) < n {
			r.requests(gateway.BatchSize)
			for range gateway.BatchSize {
				q := <-quick
				if q.Seq != int64(len(got)+1) {
					t.Fatalf("request %d has the Seq %d", len(got), q.Seq)
				}
				got = append(got, q.ID)
			}
		}
		if !slices.Equal(got, numbers(n)) {
			t.Errorf("followed: %v", got)
		}
		synctest.Wait()
		if left := drain(slow); left != gateway.FollowerBuffer {
			t.Errorf("the slow one got %d", left)
		}
		r.end()
	})
}

// drain reads a channel that is or will be closed, and counts.
func drain(ch <-chan store.Request) (n int) {
	for range ch {
		n++
	}
	return n
}

func TestFollowersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(&rows{}, true)
		ctx, cancel := context.WithCancel(t.Context())
		var all []<-chan store.Request
		for range gateway.MaxFollowers {
			all = append(all, r.Follow(ctx))
		}
		if n := drain(r.Follow(t.Context())); n != 0 {
			t.Errorf("one too many got %d", n)
		}
		cancel() // room for others
		synctest.Wait()
		for _, ch := range all {
			drain(ch)
		}
		last := r.Follow(t.Context())
		r.requests(1)
		if q := <-last; q.ID != "0" {
			t.Errorf("got %+v", q)
		}
		// The shutdown begins: all are closed, and no new ones are taken.
		r.CloseFollowers()
		if drain(last)+drain(r.Follow(t.Context())) != 0 {
			t.Error("a follower got something after the end")
		}
		r.requests(1)
		r.end()
	})
}
