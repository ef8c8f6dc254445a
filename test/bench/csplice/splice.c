/*
 * The bare bridge of the bench: a pseudo-terminal on one side, a TCP connection on the other, poll() between them.
 * What it does not spend, no bridge can save.
 *
 *   splice LINK PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

struct pump {
	int from, to;
	size_t len, off;
	char buf[65536];
};

static struct pump up, down;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Moves what it can without waiting. */
static void step(struct pump *p)
{
	if (p->off == p->len) {
		ssize_t n = read(p->from, p->buf, sizeof p->buf);
		if (n == 0)
			exit(0);
		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			die("read");
		}
		p->len = n;
		p->off = 0;
	}
	while (p->off < p->len) {
		ssize_t n = write(p->to, p->buf + p->off, p->len - p->off);
		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			die("write");
		}
		p->off += n;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: splice LINK PORT\n");
		return 2;
	}
	int pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty < 0 || unlockpt(pty) < 0)
		die("ptmx");
	struct termios t;
	if (tcgetattr(pty, &t) < 0)
		die("tcgetattr");
	cfmakeraw(&t);
	if (tcsetattr(pty, TCSANOW, &t) < 0)
		die("tcsetattr");
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(argv[2])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (sock < 0 || connect(sock, (struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	int one = 1;
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(sock, F_SETFL, O_NONBLOCK);
	fcntl(pty, F_SETFL, O_NONBLOCK);
	if (symlink(ptsname(pty), argv[1]) < 0)
		die("symlink");

	up.from = down.to = pty;
	up.to = down.from = sock;
	for (;;) {
		int up_waits = up.off < up.len, down_waits = down.off < down.len;
		struct pollfd fds[2] = {
			{ .fd = pty, .events = (up_waits ? 0 : POLLIN) | (down_waits ? POLLOUT : 0) },
			{ .fd = sock, .events = (down_waits ? 0 : POLLIN) | (up_waits ? POLLOUT : 0) },
		};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if ((fds[0].revents & (POLLIN | POLLHUP)) || (fds[1].revents & POLLOUT))
			step(&up);
		if ((fds[1].revents & (POLLIN | POLLHUP)) || (fds[0].revents & POLLOUT))
			step(&down);
	}
}
