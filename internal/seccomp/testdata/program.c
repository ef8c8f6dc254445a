/* What the tests run under a supervisor: program COMMAND TTY [ARGUMENT]. Each command prints what it saw. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int tty;
static volatile sig_atomic_t handled;

static void handler(int sig) { (void)sig; handled++; }

static void catch_signal(int sig, int flags)
{
	struct sigaction sa;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	sigaction(sig, &sa, NULL);
}

static void say(const char *what, int r) { printf("%s ret=%d errno=%d handled=%d\n", what, r, r < 0 ? errno : 0, (int)handled); fflush(stdout); }

/* lines: TIOCMGET */
static void lines(void)
{
	int v = 0, r = ioctl(tty, TIOCMGET, &v);
	say("lines", r);
	printf("value=%#x\n", v);
}

/* faults: pointers that lead nowhere, that are read-only, that end in the middle */
static void faults(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *ro = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + page, page);
	say("null", ioctl(tty, TIOCMGET, NULL));
	say("low", ioctl(tty, TIOCMGET, (void *)8));
	say("high", ioctl(tty, TIOCMGET, (void *)-8L));
	say("readonly", ioctl(tty, TIOCMGET, ro));
	say("split", ioctl(tty, TIOCMGET, p + page - 2));
	say("setnull", ioctl(tty, TIOCMBIS, NULL));
	say("setsplit", ioctl(tty, TIOCMBIS, p + page - 2));
	say("edge", ioctl(tty, TIOCMGET, p + page - 4));
}

static volatile int others;

static void *other(void *arg)
{
	(void)arg;
	others++; /* from here on it changes no signal mask, after which it would take signals that are for the first thread */
	for (;;)
		pause();
	return NULL;
}

static void start_other(void)
{
	pthread_t t;
	int before = others;
	pthread_create(&t, NULL, other, NULL);
	while (others == before)
		usleep(100);
}

static void *closer(void *arg)
{
	char c;
	(void)arg;
	if (read(0, &c, 1) == 1)
		say("close", close(tty));
	return NULL;
}

static void *waiter(void *arg)
{
	(void)arg;
	say("wait", ioctl(tty, TIOCMIWAIT, TIOCM_CD));
	return NULL;
}

/* many: TIOCMIWAIT n times, each to be ended by SIGUSR1, and which errors came of it */
static void many(const char *how)
{
	int n = atoi(how), i, again = 0, wrong = 0, last = 0;
	catch_signal(SIGUSR1, 0);
	start_other();
	start_other();
	for (i = 0; i < n; i++)
		if (ioctl(tty, TIOCMIWAIT, TIOCM_CD) < 0 && errno == EINTR)
			again++;
		else
			wrong++, last = errno;
	printf("interrupted=%d wrong=%d last=%d\n", again, wrong, last);
}

/* wait: TIOCMIWAIT, with a handler for SIGUSR1 and perhaps more threads */
static void await(const char *how)
{
	pthread_t t;
	catch_signal(SIGUSR1, strstr(how, "restart") ? SA_RESTART : 0);
	if (strstr(how, "ignore"))
		signal(SIGUSR1, SIG_IGN);
	if (strstr(how, "block")) {
		sigset_t s;
		sigemptyset(&s);
		sigaddset(&s, SIGUSR1);
		sigprocmask(SIG_BLOCK, &s, NULL);
	}
	if (strstr(how, "threads"))
		start_other();
	if (strstr(how, "closer"))
		pthread_create(&t, NULL, closer, NULL);
	if (strstr(how, "worker")) {
		pthread_create(&t, NULL, waiter, NULL);
		pthread_join(t, NULL);
	} else
		say("wait", ioctl(tty, TIOCMIWAIT, TIOCM_CD));
}

/* storm: TIOCMBIS n times, with a signal every 200 us, and the sum of what was set */
static void storm(const char *how)
{
	struct itimerval it = {{0, 200}, {0, 200}};
	int interrupted = 0, failed = 0, n = atoi(how), i;
	long long sum = 0;
	catch_signal(SIGALRM, strstr(how, "restart") ? SA_RESTART : 0);
	setitimer(ITIMER_REAL, &it, NULL);
	for (i = 1; i <= n; i++)
		if (ioctl(tty, TIOCMBIS, &i) == 0)
			sum += i;
		else if (errno == EINTR)
			interrupted++;
		else
			failed++;
	memset(&it, 0, sizeof it);
	setitimer(ITIMER_REAL, &it, NULL);
	printf("interrupted=%d failed=%d sum=%lld handled=%d\n", interrupted, failed, sum, (int)handled);
}

/* daemon: fork and setsid; the parent exits at once */
static void daemonize(void)
{
	char c;
	pid_t parent = getpid();
	if (fork() != 0)
		_exit(3);
	setsid();
	while (getppid() == parent)
		usleep(1000);
	say("orphaned", 0);
	if (read(0, &c, 1) != 1)
		_exit(1);
	lines();
}

/* crowd: n children, 100 TIOCMGET each */
static void crowd(int n)
{
	int i, j, status, bad = 0;
	for (i = 0; i < n; i++)
		if (fork() == 0) {
			for (j = 0; j < 100; j++) {
				int v = 0;
				if (ioctl(tty, TIOCMGET, &v) != 0 || v != 0x1a6)
					_exit(1);
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	printf("bad=%d\n", bad);
}

/* time: n TIOCMGET or, on a file that is not the tty, n times the kernel's own */
static void timed(int n)
{
	struct timespec a, b;
	int i, v;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < n; i++)
		ioctl(tty, TIOCMGET, &v);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("ns=%.0f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
}

/* stops: raise SIGTSTP and, when continued, ask for the lines */
static void stops(void)
{
	raise(SIGTSTP);
	lines();
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "", *argument = argc > 3 ? argv[3] : "";
	if (argc > 2 && (tty = open(argv[2], O_RDWR | O_NOCTTY | O_NONBLOCK)) < 0) {
		perror(argv[2]);
		return 99;
	}
	if (!strcmp(command, "lines"))
		lines();
	else if (!strcmp(command, "faults"))
		faults();
	else if (!strcmp(command, "wait"))
		await(argument);
	else if (!strcmp(command, "many"))
		many(argument);
	else if (!strcmp(command, "storm"))
		storm(argument);
	else if (!strcmp(command, "daemon"))
		daemonize();
	else if (!strcmp(command, "crowd"))
		crowd(atoi(argument));
	else if (!strcmp(command, "time"))
		timed(atoi(argument));
	else if (!strcmp(command, "stops"))
		stops();
	else
		return 98;
	fflush(stdout);
	return 0;
}
