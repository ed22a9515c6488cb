/* Preloaded into the server: makes writes, truncations and syncs of database files fail, as a control file says.
 * The file, named by FAULTS_CONTROL, is mapped by the test too: eight 64-bit numbers.
 *   calls   counts what could have failed
 *   first   the first call that fails, counted from 0; negative: none
 *   count   how many fail from there on
 *   error   with which errno
 *   failed  counts what did fail
 *   frozen  while not 0, all of them wait
 *   freeze  the call that sets `frozen`, counted from 0; negative: none
 *   syncs   while not 0, syncs wait, and nothing else
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct control { volatile int64_t calls, first, count, error, failed, frozen, freeze, syncs; };
static struct control *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) control = mapped;
    close(file);
}

static int is_database(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && strstr(name, ".db");
}

static int fails(int file) {
    if (!control || !is_database(file)) return 0;
    int64_t call = __sync_fetch_and_add(&control->calls, 1);
    if (call == control->freeze) control->frozen = 1;
    while (control->frozen) usleep(1000);
    int64_t first = control->first;
    if (first < 0 || call < first || call >= first + control->count) return 0;
    __sync_fetch_and_add(&control->failed, 1);
    errno = (int)control->error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *from, size_t length) {
    return fails(file) ? -1 : REAL(write)(file, from, length);
}
ssize_t pwrite(int file, const void *from, size_t length, off_t at) {
    return fails(file) ? -1 : REAL(pwrite)(file, from, length, at);
}
ssize_t pwrite64(int file, const void *from, size_t length, off64_t at) {
    return fails(file) ? -1 : REAL(pwrite64)(file, from, length, at);
}
static int sync_fails(int file) {
    while (control && control->syncs && is_database(file)) usleep(1000);
    return fails(file);
}

int fsync(int file) { return sync_fails(file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return sync_fails(file) ? -1 : REAL(fdatasync)(file); }
int ftruncate(int file, off_t length) { return fails(file) ? -1 : REAL(ftruncate)(file, length); }
int ftruncate64(int file, off64_t length) { return fails(file) ? -1 : REAL(ftruncate64)(file, length); }
