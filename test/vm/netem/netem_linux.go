package netem

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Set makes an interface's network as bad as f says, and good with a zero Fault.
func Set(name string, f Fault) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	if f == (Fault{}) {
		err = request(unix.RTM_DELQDISC, 0, message(i.Index, nil))
		// There was none.
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			err = nil
		}
	} else {
		err = request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, message(i.Index, f.options()))
	}
	if err != nil {
		return fmt.Errorf("the network of %s: %w", name, err)
	}
	return nil
}

// request sends a message to the kernel and waits for its answer.
func request(kind, flags uint16, payload []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	m := make([]byte, unix.NLMSG_HDRLEN+len(payload)) // length u32, type u16, flags u16, sequence u32, port u32
	order.PutUint32(m, uint32(len(m)))
	order.PutUint16(m[4:], kind)
	order.PutUint16(m[6:], flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	copy(m[unix.NLMSG_HDRLEN:], payload)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	answer := make([]byte, 4<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return os.NewSyscallError("recvfrom", err)
	}
	if n < unix.NLMSG_HDRLEN+4 || order.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink: not an answer")
	}
	if code := int32(order.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return os.NewSyscallError("netlink", unix.Errno(-code))
	}
	return nil
}

// SmallPackets has an interface carry packets of an Ethernet's size: the loopback's own are 64 KiB, and too few to lose some.
func SmallPackets(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	mtu, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	mtu.SetUint32(1500)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, mtu); err != nil {
		return os.NewSyscallError("ioctl(SIOCSIFMTU)", err)
	}
	for _, command := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO} {
		value := struct{ command, data uint32 }{command, 0} // struct ethtool_value
		var ifreq struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(ifreq.name[:], name)
		ifreq.data = unsafe.Pointer(&value)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq)))
		runtime.KeepAlive(&value)
		if errno != 0 {
			return os.NewSyscallError("ioctl(SIOCETHTOOL)", errno)
		}
	}
	return nil
}
