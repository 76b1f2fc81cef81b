package gateway

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder makes the data folder this process's own until the result is closed
// or the process ends: two gateways on one folder would each know half of the
// agents.
func lockFolder(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New("another gateway is using it: each needs a folder of its own")
	}
	return nil, err
}
