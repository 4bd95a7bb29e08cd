/* SPDX-License-Identifier: Apache-2.0 */
/* The guard process and its readers: how they are forked, limited and asked. A reader's result
   becomes an error in one line. */
#define _GNU_SOURCE
#include "src/cube/read/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* the sanitizer's shadow memory counts as memory */
#else
enum { SANITIZED = 0 };
#endif

enum {
    MOST_PATH = 4096,
    LEAST_SECONDS = 20,
    BYTES_PER_SECOND = 8 << 20, /* of the file; strings are the slow part */
    LEAST_BYTES = 1 << 30,
    MEMORY_PER_BYTE = 4 /* of a file */
};

/* One guard for the whole process: every function that opens a cube asks it. */
static struct {
    pid_t process; /* 0: none */
    int socket;
} guard = {.socket = -1};

/* The guard's answer. */
struct answer {
    enum {
        READ,    /* the reader finished: error */
        CRASHED, /* by signal `number`, or with exit status -`number` */
        ENDLESS  /* stopped after `number` seconds */
    } outcome;
    int64_t number;
    struct ko_error error;
};

/* ----------------------------------------------------------------------------------------------
   the reader */

static int64_t file_bytes(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

/* Memory that this process uses already. */
static int64_t memory_bytes(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file && fscanf(file, "%lld", &pages) != 1) {
        pages = 0;
    }
    if (file) {
        (void)fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t seconds_of(const struct ko_cube_guard_limits *limits, const char *path)
{
    return limits->seconds > 0 ? limits->seconds
                               : LEAST_SECONDS + file_bytes(path) / BYTES_PER_SECOND;
}

/* No core file: nobody debugs the library's crash. */
static void take_limits(const struct ko_cube_guard_limits *limits, const char *path)
{
    const rlim_t seconds = (rlim_t)seconds_of(limits, path);
    const int64_t bytes =
        limits->bytes > 0 ? limits->bytes : LEAST_BYTES + MEMORY_PER_BYTE * file_bytes(path);
    const rlim_t memory = (rlim_t)(memory_bytes() + bytes);

    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds});
    if (!SANITIZED) {
        (void)setrlimit(RLIMIT_AS, &(struct rlimit){memory, memory});
    }
}

/* _exit: the program's exit handlers must not run in this process. */
static void read_file(ko_cube_reader *reader, const struct ko_cube_guard_limits *limits,
                      const char *path, int to)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    struct ko_error error = {0};

    for (size_t k = 0; k < sizeof crashes / sizeof *crashes; k++) {
        (void)signal(crashes[k], SIG_DFL);
    }
    take_limits(limits, path);
    error.code = reader(path, &error);
    _exit(write(to, &error, sizeof error) == (ssize_t)sizeof error ? 0 : 1);
}

/* ----------------------------------------------------------------------------------------------
   the guard */

static bool read_all(int from, void *to, size_t n, int milliseconds)
{
    struct pollfd wait = {.fd = from, .events = POLLIN};

    for (size_t have = 0; have < n;) {
        int ready;
        do {
            ready = poll(&wait, 1, milliseconds);
        } while (ready < 0 && errno == EINTR);
        const ssize_t got = ready > 0 ? read(from, (char *)to + have, n - have) : 0;
        if (got <= 0) {
            return false;
        }
        have += (size_t)got;
    }
    return true;
}

/* How the reader ended. Kills a reader that still runs. */
static void take_end(pid_t reader, int64_t seconds, struct answer *answer)
{
    int status = 0;
    const pid_t ended = waitpid(reader, &status, WNOHANG);

    if (ended == 0) { /* the pipe is still open: it timed out or is just ending */
        (void)kill(reader, SIGKILL);
        (void)waitpid(reader, &status, 0);
    }
    answer->outcome = CRASHED;
    answer->number = WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)) {
        answer->outcome = ENDLESS;
        answer->number = seconds;
    }
}

static void fail_to_fork(struct answer *answer)
{
    answer->outcome = READ;
    (void)ko_fail(&answer->error, KO_E_FAILED, "cannot fork a process to read it: %s",
                  strerror(errno));
}

static void look_at(ko_cube_reader *reader, const struct ko_cube_guard_limits *limits,
                    const char *path, struct answer *answer)
{
    const int64_t seconds = seconds_of(limits, path);
    const int64_t patience = seconds < INT32_MAX / 10000 ? seconds * 10000 : INT32_MAX;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail_to_fork(answer);
        return;
    }
    const pid_t process = fork();
    if (process == 0) {
        read_file(reader, limits, path, ends[1]);
    }
    (void)close(ends[1]);
    if (process < 0) {
        fail_to_fork(answer);
    } else if (read_all(ends[0], &answer->error, sizeof answer->error, (int)patience)) {
        answer->outcome = READ;
        (void)waitpid(process, NULL, 0);
    } else {
        /* A reader closes its pipe before it can be waited for. */
        struct pollfd wait = {.fd = ends[0], .events = POLLIN};
        if (poll(&wait, 1, 0) > 0) {
            for (int k = 0; k < 100; k++) {
                siginfo_t info = {0};
                if (waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                    info.si_pid == process) {
                    break;
                }
                (void)usleep(10000);
            }
        }
        take_end(process, seconds, answer);
    }
    (void)close(ends[0]);
}

/* Signals to all processes of a job (a terminal's interrupt, a scheduler's warning) are not for the
   guard: it ends with the program. Messages of HDF5 or the C library about a crash are dropped. */
static void stand_guard(ko_cube_reader *reader, const struct ko_cube_guard_limits *limits,
                        int socket)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
    char path[MOST_PATH + 1];
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;

    for (size_t k = 0; k < sizeof ignored / sizeof *ignored; k++) {
        (void)signal(ignored[k], SIG_IGN);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int k = 0; nothing >= 0 && k <= STDERR_FILENO; k++) {
        (void)dup2(nothing, k);
    }
    for (;;) {
        struct answer answer = {0};
        ssize_t n;
        do {
            n = recv(socket, path, sizeof path - 1, 0);
        } while (n < 0 && errno == EINTR);
        if (n <= 0) {
            _exit(0);
        }
        path[n] = '\0';
        look_at(reader, limits, path, &answer);
        if (send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer) {
            _exit(1);
        }
    }
}

enum ko_code ko_cube_guard_start(ko_cube_reader *reader, struct ko_cube_guard_limits limits,
                                 struct ko_error *err)
{
    const pid_t program = getpid();
    int ends[2];

    if (guard.process != 0) {
        return KO_OK;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return ko_fail(err, KO_E_FAILED, "cannot fork a process to read cubes: %s",
                       strerror(errno));
    }
    /* Signals are blocked between the fork and the guard's own signal setup. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    const pid_t process = fork();
    if (process == 0) {
        (void)close(ends[0]);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != program) {
            _exit(1);
        }
        stand_guard(reader, &limits, ends[1]);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[1]);
    if (process < 0) {
        (void)close(ends[0]);
        return ko_fail(err, KO_E_FAILED, "cannot fork a process to read cubes: %s",
                       strerror(errno));
    }
    guard.process = process;
    guard.socket = ends[0];
    return KO_OK;
}

void ko_cube_guard_stop(void)
{
    if (guard.process == 0) {
        return;
    }
    (void)close(guard.socket);
    while (waitpid(guard.process, NULL, 0) < 0 && errno == EINTR) {
        ;
    }
    guard.process = 0;
    guard.socket = -1;
}

/* ----------------------------------------------------------------------------------------------
   the program */

static enum ko_code answer_error(const char *path, const struct answer *answer,
                                 struct ko_error *err)
{
    if (answer->outcome == READ) {
        if (err) {
            *err = answer->error;
        }
        return answer->error.code;
    }
    if (answer->outcome == ENDLESS) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: the HDF5 library did not finish reading it in %lld s: the file is "
                       "damaged, restore it or compute it again",
                       path, (long long)answer->number);
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: the HDF5 library crashed while reading it (%s %lld): the file is damaged, "
                   "restore it or compute it again",
                   path, answer->number < 0 ? "status" : "signal",
                   (long long)(answer->number < 0 ? -answer->number : answer->number));
}

static enum ko_code ask_guard(const char *path, struct answer *answer, struct ko_error *err)
{
    const size_t length = strlen(path) + 1;
    ssize_t n = -1;

    *answer = (struct answer){.outcome = READ};
    if (guard.process == 0 || length > MOST_PATH) { /* no file name is longer */
        return KO_OK;
    }
    if (send(guard.socket, path, length, MSG_NOSIGNAL) == (ssize_t)length) {
        do {
            n = recv(guard.socket, answer, sizeof *answer, 0);
        } while (n < 0 && errno == EINTR);
    }
    return n == (ssize_t)sizeof *answer
               ? KO_OK
               : ko_fail(err, KO_E_FAILED,
                         "%s: the process that checks cubes has ended, start the program again",
                         path);
}

enum ko_code ko_cube_guard_ask(const char *path, struct ko_error *err)
{
    struct answer answer;
    const enum ko_code code = ask_guard(path, &answer, err);

    return code == KO_OK ? answer_error(path, &answer, err) : code;
}

bool ko_cube_guard_comes_back(const char *path)
{
    struct answer answer;

    return ask_guard(path, &answer, NULL) == KO_OK && answer.outcome == READ;
}
