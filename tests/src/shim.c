/* Preloaded into a process under test: moves its clocks and fills its disk, while it runs. What it
 * does is written in a file that both sides map; `shim.rs` writes it, and says what the fields mean. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t wall;      /* seconds added to the wall clock */
    volatile int64_t monotonic; /* seconds added to the monotonic clocks */
    volatile uint8_t full;      /* whether the disk under `prefix` is full */
    volatile uint8_t deaf;      /* whether standard error is on a full disk */
    char prefix[1024];          /* a folder, ended by a zero */
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("BELLWETHER_SHIM");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(0, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) control = map;
    close(fd);
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}
#define NEXT(name, type)           \
    static __typeof__(type) *real; \
    if (!real) real = (__typeof__(type) *)next(name)

static int is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static int64_t offset(clockid_t clock) {
    if (!control) return 0;
    if (is_wall(clock)) return control->wall;
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME: return control->monotonic;
    default: return 0; /* what a process or thread used is not moved */
    }
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    NEXT("clock_gettime", int(clockid_t, struct timespec *));
    int result = real(clock, at);
    if (!result) at->tv_sec += offset(clock);
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    NEXT("gettimeofday", int(struct timeval *restrict, void *restrict));
    int result = real(at, zone);
    if (!result) at->tv_sec += offset(CLOCK_REALTIME);
    return result;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* Rust waits until a time by the kernel's clock, which is not moved. */
long syscall(long number, ...) {
    NEXT("syscall", long(long, ...));
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && a[3]) {
        int op = (int)a[1], command = op & FUTEX_CMD_MASK;
        if (command == FUTEX_WAIT_BITSET) {
            struct timespec until = *(struct timespec *)a[3];
            until.tv_sec -= offset(op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC);
            if (until.tv_sec < 0) until.tv_sec = 0;
            return real(number, a[0], a[1], a[2], (long)&until, a[4], a[5]);
        }
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Whether a file lies on the disk that is full. */
static int is_full(int fd) {
    if (!control) return 0;
    if (fd == 2 && control->deaf) return 1;
    if (!control->full) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t prefix = strnlen(control->prefix, sizeof control->prefix);
    struct stat file;
    if (length < 0 || (size_t)length < prefix || memcmp(path, control->prefix, prefix)) return 0;
    return !fstat(fd, &file) && S_ISREG(file.st_mode);
}

#define REFUSE(fd)             \
    if (is_full(fd)) {         \
        errno = ENOSPC;        \
        return -1;             \
    }

ssize_t write(int fd, const void *from, size_t size) {
    NEXT("write", ssize_t(int, const void *, size_t));
    REFUSE(fd);
    return real(fd, from, size);
}

ssize_t writev(int fd, const struct iovec *from, int count) {
    NEXT("writev", ssize_t(int, const struct iovec *, int));
    REFUSE(fd);
    return real(fd, from, count);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    NEXT("pwrite", ssize_t(int, const void *, size_t, off_t));
    REFUSE(fd);
    return real(fd, from, size, at);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off_t at) { return pwrite(fd, from, size, at); }

ssize_t pwritev(int fd, const struct iovec *from, int count, off_t at) {
    NEXT("pwritev", ssize_t(int, const struct iovec *, int, off_t));
    REFUSE(fd);
    return real(fd, from, count, at);
}

ssize_t copy_file_range(int in, off_t *in_at, int fd, off_t *at, size_t size, unsigned flags) {
    NEXT("copy_file_range", ssize_t(int, off_t *, int, off_t *, size_t, unsigned));
    REFUSE(fd);
    return real(in, in_at, fd, at, size, flags);
}

int ftruncate(int fd, off_t size) {
    NEXT("ftruncate", int(int, off_t));
    struct stat file;
    if (!fstat(fd, &file) && size > file.st_size) REFUSE(fd);
    return real(fd, size);
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t at, off_t size) {
    NEXT("fallocate", int(int, int, off_t, off_t));
    REFUSE(fd);
    return real(fd, mode, at, size);
}

int fallocate64(int fd, int mode, off_t at, off_t size) { return fallocate(fd, mode, at, size); }

int fsync(int fd) {
    NEXT("fsync", int(int));
    REFUSE(fd);
    return real(fd);
}

int fdatasync(int fd) {
    NEXT("fdatasync", int(int));
    REFUSE(fd);
    return real(fd);
}
