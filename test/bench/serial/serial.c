// How long serial ioctls take, and how exactly a reset sequence is timed, as a program sees it.
// Usage: serial TTY tcgets|tiocmget|tcsets|tiocmset REQUESTS, serial TTY read|write THOUSANDS, or serial TTY reset ROUNDS. It prints a number of nanoseconds a
// line: of each request, of a call as the mean of a thousand, or from each edge of DTR and RTS to the next.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void nap(long ms) {
	struct timespec t = {0, ms * 1000000L};
	nanosleep(&t, NULL);
}

int main(int argc, char **argv) {
	int fd = argc == 4 ? open(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK) : -1;
	if (fd < 0) {
		perror("serial");
		return 1;
	}
	char settings[64]; // struct termios2 of the kernel is smaller
	int lines, dtr = TIOCM_DTR, rts = TIOCM_RTS;
	long n = atol(argv[3]);
	long *took = calloc(n * 4 + 4, sizeof *took), count = 0;
	if (ioctl(fd, 0x802c542a, settings) != 0) { // TCGETS2
		perror("TCGETS2");
		return 1;
	}
	if (!strcmp(argv[2], "read") || !strcmp(argv[2], "write")) {
		int writes = *argv[2] == 'w';
		for (long i = 0; i < n; i++) {
			long begin = now();
			for (int k = 0; k < 1000; k++) // of nothing: what is compared is the way to the driver
				if ((writes ? write(fd, settings, 0) : read(fd, settings, 1)) > 0)
					return 1;
			printf("%ld\n", (now() - begin) / 1000);
		}
		return 0;
	}
	for (long i = 0; i < n; i++) {
		long begin = now();
		if (!strcmp(argv[2], "tcgets"))
			ioctl(fd, 0x802c542a, settings);
		else if (!strcmp(argv[2], "tiocmget"))
			ioctl(fd, TIOCMGET, &lines); // ENOTTY where there are no lines
		else if (!strcmp(argv[2], "tcsets"))
			ioctl(fd, 0x402c542b, settings);
		else if (!strcmp(argv[2], "tiocmset"))
			ioctl(fd, i % 2 ? TIOCMBIS : TIOCMBIC, &dtr);
		else { // reset: the edges of esptool's classic one, each a change
			long at[5];
			ioctl(fd, TIOCMBIC, &dtr);
			ioctl(fd, TIOCMBIC, &rts);
			nap(20);
			at[0] = now();
			ioctl(fd, TIOCMBIS, &rts);
			nap(100);
			at[1] = now();
			ioctl(fd, TIOCMBIS, &dtr);
			at[2] = now();
			ioctl(fd, TIOCMBIC, &rts);
			nap(50);
			at[3] = now();
			ioctl(fd, TIOCMBIC, &dtr);
			for (int k = 0; k < 3; k++)
				took[count++] = at[k + 1] - at[k];
			continue;
		}
		took[count++] = now() - begin;
	}
	for (long i = 0; i < count; i++)
		printf("%ld\n", took[i]);
	return 0;
}
