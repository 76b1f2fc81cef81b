package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace of its own: interfaces, addresses, routes
// and ports that the rest of the machine doesn't see. It has no name anywhere;
// it goes with the test and with the processes inside. To look into one while a
// test hangs: nsenter --net=/proc/PID/ns/net with a process inside it.
//
// A nil *Namespace is the one that the test itself runs in.
type Namespace struct {
	// Addr is the IPv4 address of this end of the wire, without a prefix.
	Addr string

	file *os.File // keeps the namespace alive, and is how a thread enters it
}

// wireDevice is the name of the interface at both ends of a wire.
const wireDevice = "wire"

// Wire makes two namespaces joined by a wire, with the addresses 198.18.0.1 (a)
// and 198.18.0.2 (b) of the range for benchmarks (RFC 2544). Each has its own
// loopback. It needs the right to make namespaces, which root has.
func Wire(t testing.TB) (a, b *Namespace) {
	t.Helper()
	a, b = newNamespace(t, "198.18.0.1"), newNamespace(t, "198.18.0.2")
	Run(t, a, "ip", "link", "add", wireDevice, "type", "veth", "peer", "name", wireDevice,
		"netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), b.file.Fd()))
	for _, ns := range []*Namespace{a, b} {
		Run(t, ns, "ip", "address", "add", ns.Addr+"/30", "dev", wireDevice)
		Run(t, ns, "ip", "link", "set", "lo", "up")
		Run(t, ns, "ip", "link", "set", wireDevice, "up")
	}
	return a, b
}

func newNamespace(t testing.TB, addr string) *Namespace {
	t.Helper()
	ns := &Namespace{Addr: addr}
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w (tests of the network need root)", err)
		}
		var err error
		ns.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.file.Close() })
	return ns
}

// Do runs f on a thread that is in the namespace and returns its error. Sockets
// and processes that f makes itself stay in the namespace; goroutines that it
// starts don't run there. f must not call t.Fatal.
func (ns *Namespace) Do(f func() error) error {
	if ns == nil {
		return f()
	}
	return onOwnThread(func() error {
		if err := ns.enter(); err != nil {
			return err
		}
		return f()
	})
}

// enter moves the calling thread, which must be locked and end soon, into the
// namespace.
func (ns *Namespace) enter() error {
	if ns == nil {
		return nil
	}
	if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace of %s: %w", ns.Addr, err)
	}
	return nil
}

// onOwnThread runs f on a thread that nothing else uses afterwards: the runtime
// ends a thread whose goroutine ends without unlocking it.
func onOwnThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- f()
	}()
	return <-result
}

// Listen is net.Listen inside the namespace.
func (ns *Namespace) Listen(network, address string) (ln net.Listener, err error) {
	err = ns.Do(func() error {
		ln, err = net.Listen(network, address)
		return err
	})
	return ln, err
}

// ListenPacket is net.ListenPacket inside the namespace.
func (ns *Namespace) ListenPacket(network, address string) (conn net.PacketConn, err error) {
	err = ns.Do(func() error {
		conn, err = net.ListenPacket(network, address)
		return err
	})
	return conn, err
}

// Dial is net.Dialer.DialContext inside the namespace, to an IP address and
// port (looking up a name would leave the thread).
func (ns *Namespace) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = ns.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Run runs a command in a namespace (nil: the test's own), fails the test if it
// fails, and returns what it wrote to stdout and stderr.
func Run(t testing.TB, in *Namespace, name string, args ...string) string {
	t.Helper()
	out, err := combinedOutput(in, exec.Command(lookPath(t, name), args...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func combinedOutput(in *Namespace, cmd *exec.Cmd) (string, error) {
	var out []byte
	err := in.Do(func() error {
		var err error
		if out, err = cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		return nil
	})
	return string(out), err
}

// Drop makes the namespace lose what arrives by the wire for a port (0: for any
// port) of protocol "udp" or "tcp", without a word: senders see their writes
// succeed and nothing come back, as behind a firewall that drops. It holds for
// flows that exist already as well. The returned function ends it, and fails
// the test if it was ended before.
//
// Packets are lost where they arrive because a sender whose own routing drops
// them is told so by its next write.
func (ns *Namespace) Drop(t testing.TB, protocol string, port int) (restore func()) {
	t.Helper()
	if ns == nil {
		t.Fatal("Drop works on the ends of a wire, not on the test's own network")
	}
	rule := []string{"pref", "1", "iif", wireDevice, "ipproto", protocol}
	if port != 0 {
		rule = append(rule, "dport", strconv.Itoa(port))
	}
	rule = append(rule, "blackhole")
	ns.moveLocalRule(t)
	Run(t, ns, "ip", append([]string{"rule", "add"}, rule...)...)
	return func() {
		t.Helper()
		Run(t, ns, "ip", append([]string{"rule", "del"}, rule...)...)
	}
}

// moveLocalRule makes room for rules before the one that delivers packets to
// this host's own addresses, which is the first as the kernel sets it up. The
// later one is added first, so that there is always one.
func (ns *Namespace) moveLocalRule(t testing.TB) {
	t.Helper()
	if _, err := combinedOutput(ns, exec.Command(lookPath(t, "ip"), "rule", "add", "pref", "10", "lookup", "local")); err != nil {
		return // an earlier call has done it: the kernel refuses the same rule twice
	}
	Run(t, ns, "ip", "rule", "del", "pref", "0")
}

// LocalAddress gives the test's own network an address of the form 198.18.x.y
// that net/http doesn't take for loopback, so that it goes through proxies,
// and returns it. Nothing outside this machine reaches it. It needs the right
// to change addresses, which root has; it goes with the test, and by itself
// after an hour.
func LocalAddress(t testing.TB) string {
	t.Helper()
	ip := lookPath(t, "ip")
	// Processes that run at the same time start at different places; should
	// an address be taken all the same, ip refuses and the next one is tried.
	var errs []error
	for i := range 16 {
		n := (os.Getpid()*16 + i) % (253 * 253)
		addr := fmt.Sprintf("198.18.%d.%d", 1+n/253, 1+n%253)
		if _, err := combinedOutput(nil, exec.Command(ip, "address", "add", addr+"/32", "dev", "lo",
			"valid_lft", "3600", "preferred_lft", "3600")); err != nil {
			errs = append(errs, err)
			continue
		}
		t.Cleanup(func() { Run(t, nil, "ip", "address", "del", addr+"/32", "dev", "lo") })
		return addr
	}
	t.Fatalf("no address for the test's own network (it needs root):\n%v", errors.Join(errs...))
	return ""
}
