// Package kernel fetches a stock Debian kernel for a virtual machine, from its package, without installing it.
//
// [Fetch] asks apt which package a meta package stands for (linux-image-amd64 or linux-image-cloud-amd64), has apt download
// and verify it, and keeps of it in a cache directory what a machine needs:
//
//	CACHE/PACKAGE_VERSION-HASH/vmlinux         the kernel; vmlinuz if its compression is not XZ
//	CACHE/PACKAGE_VERSION-HASH/modules/*.ko    the modules asked for and those that they need
//	CACHE/PACKAGE_VERSION-HASH/modules.dep     who needs whom
//
// HASH is of the list of modules. What is in the cache is used without the network; another version of the same package takes
// the place of the older one. A directory appears by being renamed, so one that is there is complete.
//
// The kernel is unpacked here because under QEMU without KVM that takes its own loader 3 s, and this machine 1 s.
//
// The package has no modules.dep (depmod makes it at the installation): what a module needs is read from its own .modinfo section.
//
// Needed are apt-get, apt-cache and dpkg-deb, and xz.
package kernel
