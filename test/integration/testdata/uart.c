// Serial ioctls that no ready program makes: what a test needs of TIOCMIWAIT,
// signals and storms. Usage: uart TTY MODE [ARG]. It prints what it saw.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void handler(int sig) { handled++; }

static void catch(int sig, int flags) {
	struct sigaction sa;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	sigaction(sig, &sa, NULL);
}

static void *idle(void *arg) {
	for (;;)
		pause();
	return NULL;
}

static void say(const char *what, int ret) {
	if (ret == 0)
		printf("%s: ok\n", what);
	else
		printf("%s: %s (%d)\n", what, strerror(errno), errno);
	fflush(stdout);
}

int main(int argc, char **argv) {
	int fd = open(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	const char *mode = argv[2];
	if (!strcmp(mode, "wait")) { // for a line, whose mask is ARG
		struct serial_icounter_struct b, c;
		ioctl(fd, TIOCGICOUNT, &b);
		puts("waiting");
		fflush(stdout);
		say("wait", ioctl(fd, TIOCMIWAIT, strtoul(argv[3], NULL, 0)));
		if (ioctl(fd, TIOCGICOUNT, &c) == 0)
			printf("cts %d dsr %d rng %d dcd %d\n", c.cts - b.cts, c.dsr - b.dsr, c.rng - b.rng, c.dcd - b.dcd);
	} else if (!strcmp(mode, "signal")) { // ARG: SA_RESTART or not, threads or not
		catch(SIGUSR1, strchr(argv[3], 'r') ? SA_RESTART : 0);
		if (strchr(argv[3], 't')) {
			pthread_t t;
			pthread_create(&t, NULL, idle, NULL);
		}
		puts("waiting");
		fflush(stdout);
		int r = ioctl(fd, TIOCMIWAIT, TIOCM_CAR);
		int e = errno;
		printf("handled %d\n", (int)handled);
		errno = e;
		say("wait", r);
	} else if (!strcmp(mode, "storm")) { // ARG ioctls under 5,000 signals a second
		catch(SIGALRM, SA_RESTART);
		struct itimerval it = {{0, 200}, {0, 200}};
		setitimer(ITIMER_REAL, &it, NULL);
		long n = atol(argv[3]), failed = 0;
		int dtr = TIOCM_DTR;
		for (long i = 0; i < n; i++)
			if (ioctl(fd, i % 2 ? TIOCMBIS : TIOCMBIC, &dtr) != 0) {
				if (failed++ == 0)
					say("storm", -1);
			}
		it.it_value.tv_usec = it.it_interval.tv_usec = 0;
		setitimer(ITIMER_REAL, &it, NULL);
		printf("failed %ld, signals %s\n", failed, handled > 100 ? "many" : "few");
	} else if (!strcmp(mode, "bad")) { // pointers that lead nowhere
		say("TIOCMGET", ioctl(fd, TIOCMGET, (void *)16));
		say("TCSETS", ioctl(fd, 0x5402, (void *)16));
		say("TIOCMSET", ioctl(fd, TIOCMSET, NULL));
		say("TIOCGICOUNT", ioctl(fd, TIOCGICOUNT, (void *)-4096L));
	} else if (!strcmp(mode, "gets")) { // how long ARG questions take, in ns each
		struct timespec a, b;
		int lines;
		long n = atol(argv[3]);
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (long i = 0; i < n; i++)
			ioctl(fd, TIOCMGET, &lines);
		clock_gettime(CLOCK_MONOTONIC, &b);
		printf("%.0f\n", ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / n);
	}
	return 0;
}
