package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vcsagent/gateway/store"
)

// writeTo says to the test's own binary that it is to write to a database, and
// to which, until it's killed.
const writeTo = "STORE_TEST_WRITE_TO"

func TestMain(m *testing.M) {
	if location := os.Getenv(writeTo); location != "" {
		fmt.Println(write(location, os.Getenv(writeTo+"_AS")))
		return
	}
	goleak.VerifyTestMain(m)
}

// write makes changes and tells each on stdout, once it is acknowledged.
func write(location, round string) error {
	ctx := context.Background()
	st, err := store.Open(ctx, location)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s-%d", round, i)
		pool, err := st.CreatePool(ctx, admin, store.NewPool{Name: "p" + name, TokenKey: store.HashOf("first")})
		if err != nil {
			return err
		}
		fmt.Println("pool", pool.ID, "first")
		if _, err := st.CreateKey(ctx, admin, store.NewKey{Name: "k" + name, Pools: []string{pool.ID}, Hash: store.HashOf("k" + name)}); err != nil {
			return err
		}
		fmt.Println("key", pool.ID, "k"+name)
		if _, err := st.AddTokenKey(ctx, admin, pool.ID, store.HashOf("second"), time.Time{}); err != nil {
			return err
		}
		fmt.Println("pool", pool.ID, "second")
		keys, err := st.TokenKeys(ctx, pool.ID)
		if err != nil {
			return err
		}
		// Told first: it is gone or not until it's acknowledged.
		fmt.Println("revoking", pool.ID, "first")
		if err := st.RevokeTokenKey(ctx, admin, pool.ID, keys[0].ID); err != nil {
			return err
		}
		fmt.Println("revoked", pool.ID, "first")
		owner, err := st.KeyByName(ctx, "k"+name)
		if err != nil {
			return err
		}
		if err := st.AddSignIn(ctx, admin, owner.ID, store.HashOf("s"+name), time.Now().Add(time.Hour)); err != nil {
			return err
		}
		fmt.Println("signed-in", owner.ID, "s"+name)
		if i%2 == 1 {
			fmt.Println("revoking", "s"+name, "s"+name)
			if err := st.EndSignIn(ctx, admin, store.HashOf("s"+name)); err != nil {
				return err
			}
			fmt.Println("signed-out", owner.ID, "s"+name)
		}
		if err := st.AddRequests(ctx, []store.Request{{ID: pool.ID, At: time.Now()}, {ID: pool.ID, At: time.Now()}}); err != nil {
			return err
		}
		fmt.Println("requests", pool.ID, "2")
	}
}

// A process that is killed in the middle of its writes loses nothing that was
// acknowledged, and leaves no half of a change.
func testKillTheWriter(t *testing.T, b backend) {
	location := b.location(t)
	const rounds = 25
	var told []string
	for round := range rounds {
		writer := exec.Command(os.Args[0])
		writer.Env = append(os.Environ(), writeTo+"="+location, fmt.Sprintf("%s_AS=%d", writeTo, round))
		writer.Stderr = os.Stderr
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		reached, read := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(read)
			enough := 1 + rand.IntN(40)
			for s := bufio.NewScanner(out); s.Scan(); {
				told = append(told, s.Text())
				if enough--; enough == 0 {
					close(reached)
				}
			}
		}()
		select {
		case <-reached:
		case <-read:
			t.Fatalf("the writer ended by itself: %q", told[max(0, len(told)-3):])
		}
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // into the middle of a change
		if b.server != nil && round%10 == 9 {
			b.server.Crash(t) // which the writer is told, and ends
		}
		writer.Process.Kill()
		<-read
		writer.Wait()
		if b.server == nil {
			var health string
			if err := b.db(t, location).QueryRow("PRAGMA integrity_check").Scan(&health); err != nil || health != "ok" {
				t.Fatalf("the database after round %d: %q, %v", round, health, err)
			}
		}
	}
	st := open(t, location)
	n := verify(t, st, told)
	t.Logf("%d writers were killed, %d changes had been acknowledged", rounds, n)

	// Each change has its entry and each entry its change.
	var pools, made, keys, madeKeys, requests, counted int
	err := b.db(t, location).QueryRow(`SELECT (SELECT COUNT(*) FROM pools), (SELECT COUNT(*) FROM audit WHERE action = 'pool.create'),
		(SELECT COUNT(*) FROM keys), (SELECT COUNT(*) FROM audit WHERE action = 'key.create'),
		(SELECT COUNT(*) FROM requests), (SELECT SUM(failed) FROM traffic)`).Scan(&pools, &made, &keys, &madeKeys, &requests, &counted)
	if err != nil || pools != made || keys != madeKeys || requests != counted {
		t.Errorf("%d pools of %d, %d keys of %d, %d requests of %d, %v", pools, made, keys, madeKeys, requests, counted, err)
	}
}

// verify looks for each change that was told, and returns how many they are.
func verify(t *testing.T, st *store.Store, told []string) (n int) {
	t.Helper()
	revoking := map[string]bool{}
	for _, line := range told {
		if pool, ok := strings.CutPrefix(line, "revoking "); ok {
			revoking[strings.Fields(pool)[0]] = true
		}
	}
	for _, line := range told {
		words := strings.Fields(line)
		if len(words) != 3 { // why the server's crash ended it
			continue
		}
		n++
		what, pool, key := words[0], words[1], words[2] // or a key's ID, and its sign-in's secret
		switch what {
		case "pool":
			_, _, err := st.PoolByTokenKey(t.Context(), pool, store.HashOf(key))
			if err != nil && !(key == "first" && revoking[pool] && errors.Is(err, store.ErrWrongKey)) {
				t.Errorf("%q, yet %v", line, err)
			}
		case "key":
			if k, err := st.KeyByHash(t.Context(), store.HashOf(key)); err != nil || len(k.PoolIDs) != 1 || k.PoolIDs[0] != pool {
				t.Errorf("%q, yet %+v, %v", line, k, err)
			}
		case "revoking":
			n--
		case "revoked":
			if _, _, err := st.PoolByTokenKey(t.Context(), pool, store.HashOf(key)); !errors.Is(err, store.ErrWrongKey) {
				t.Errorf("%q, yet %v", line, err)
			}
		case "signed-in":
			in, err := st.SignInByHash(t.Context(), store.HashOf(key))
			if (err != nil || in.Key.ID != pool) && !(revoking[key] && errors.Is(err, store.ErrNotFound)) {
				t.Errorf("%q, yet %+v, %v", line, in, err)
			}
		case "signed-out":
			if _, err := st.SignInByHash(t.Context(), store.HashOf(key)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q, yet %v", line, err)
			}
		case "requests":
			if r, err := st.Requests(t.Context(), store.RequestFilter{ID: pool}); err != nil || len(r) != 2 {
				t.Errorf("%q, yet %d, %v", line, len(r), err)
			}
		default:
			n--
		}
	}
	return n
}
