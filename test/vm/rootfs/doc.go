// Package rootfs makes the file system of a Debian with udev, systemd and gpsd for a virtual machine.
//
// [Fetch] has mmdebstrap install [Packages] of this machine's release into an archive, adds single programs of packages that would
// draw in much more ([Extras]), leaves out what no test reads (documentation, Perl, translations), and keeps the rest as one
// archive that the kernel can take for its initial file system:
//
//	CACHE/rootfs-RELEASE-HASH.cpio     HASH is of the named packages with their versions, and of how the archive is made
//
// What is in the cache is used without the network; a new one takes the place of the older ones. A file appears by being
// renamed, so one that is there is complete.
//
// There are no users but Debian's own and gpsd's, everything belongs to root, and /dev is empty.
//
// Needed are mmdebstrap, Debian's keys (debian-archive-keyring), apt-get and dpkg-deb.
package rootfs
