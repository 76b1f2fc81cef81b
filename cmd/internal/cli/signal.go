package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Signals returns a context that the first SIGTERM or SIGINT cancels, so that
// the command can drain. A second one ends the process at once with 128 plus the
// signal's number (143 or 130): whoever sends it doesn't want to wait. Call
// stop when the command is done; the signals then have their default effect.
func Signals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	received := make(chan os.Signal, 2) // both, should the second come before the first is taken
	signal.Notify(received, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watchSignals(received, done, cancel)
	}()
	return ctx, func() {
		signal.Stop(received)
		close(done)
		<-ended
		cancel()
	}
}

func watchSignals(received <-chan os.Signal, done <-chan struct{}, cancel func()) {
	for first := true; ; first = false {
		select {
		case <-done:
			return
		case sig := <-received:
			if !first {
				os.Exit(128 + int(sig.(syscall.Signal))) // Notify sends nothing else on Unix
			}
			cancel()
		}
	}
}
