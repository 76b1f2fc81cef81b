package gateway_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway"
)

// While the store can't be asked, what it said last holds for a while; one of
// those who want to know asks again, and the others don't wait for that.
func TestKeyringWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table gateway.Table
		down := fmt.Errorf("%w: no such host", gateway.ErrStoreFailed)
		asked := 0
		hang := func() (string, error) {
			asked++
			time.Sleep(gateway.LookupTime)
			return "", down
		}
		if _, err := table.Get("k", hang); err != down || table.Len() != 0 {
			t.Fatalf("never known: %v", err)
		}
		table.Get("k", func() (string, error) { return "v", nil })
		began := time.Now()
		for asked = 0; time.Since(began) < gateway.KeyringGrace-gateway.LookupTime-gateway.KeyringTTL; {
			time.Sleep(gateway.KeyringTTL)
			one := make(chan bool)
			go func() {
				v, err := table.Get("k", hang)
				one <- v == "v" && err == nil
			}()
			synctest.Wait() // it asks
			for range 3 {
				at := time.Now()
				if v, err := table.Get("k", hang); v != "v" || err != nil || time.Since(at) != 0 {
					t.Fatalf("%q, %v after %s of waiting", v, err, time.Since(at))
				}
			}
			if !<-one {
				t.Fatal("who asked got nothing")
			}
		}
		if want := int(gateway.KeyringGrace / (gateway.LookupTime + gateway.KeyringTTL)); asked < want-2 || asked > want {
			t.Errorf("the store was asked %d times, want some %d", asked, want)
		}
		time.Sleep(time.Until(began.Add(gateway.KeyringGrace)))
		if _, err := table.Get("k", hang); err != down || table.Len() != 0 {
			t.Errorf("after the grace: %v", err)
		}
	})
}

// What the store says counts at once when it can be asked again.
func TestKeyringWhenItsStoreIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table gateway.Table
		gone := errors.New("revoked")
		table.Get("k", func() (string, error) { return "v", nil })
		time.Sleep(gateway.KeyringTTL)
		if v, err := table.Get("k", func() (string, error) { return "", gateway.ErrStoreFailed }); v != "v" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(gateway.KeyringTTL)
		if v, err := table.Get("k", func() (string, error) { return "", gone }); v != "" || err != gone {
			t.Error(v, err)
		}
		if v, err := table.Get("k", func() (string, error) { return "", gateway.ErrStoreFailed }); v != "" || err == nil {
			t.Error("revoked, and believed again:", v, err)
		}
	})
}
