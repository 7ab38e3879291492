/* A network share, or a file system of Windows, below the folder that $BELOW names: preloaded before
   the C library, for tests/test_shares.py. What it refuses is said by the other variables. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__)) dlsym(RTLD_NEXT, name))

static int below(const char *path) {
    const char *here = getenv("BELOW");
    return here && path && !strncmp(path, here, strlen(here));
}

static int has(const char *what) { return getenv(what) != NULL; }

/* $CHARACTERS, $LONGEST and $ENDINGS of a name; $ERROR is what is answered. */
static int refused(const char *path) {
    if (!below(path)) return 0;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    const char *characters = getenv("CHARACTERS"), *longest = getenv("LONGEST");
    int bad = characters && strpbrk(name, characters);
    bad |= has("ENDINGS") && length && (name[length - 1] == '.' || name[length - 1] == ' ');
    bad |= has("RESERVED") && !strncasecmp(name, "con.", 4);
    if (bad) { errno = has("ERROR") ? atoi(getenv("ERROR")) : EINVAL; return 1; }
    if (longest && length > (size_t) atoi(longest)) { errno = ENAMETOOLONG; return 1; }
    return 0;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        if ((flags & O_CREAT) && refused(path)) return -1; \
        return REAL(int, #name, const char *, int, mode_t)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int rename(const char *one, const char *other) {
    if (refused(other)) return -1;
    return REAL(int, "rename", const char *, const char *)(one, other);
}

int renameat2(int a, const char *one, int b, const char *other, unsigned flags) {
    if (has("NO_EXCLUSIVE") && below(other)) { errno = EINVAL; return -1; }
    if (refused(other)) return -1;
    return REAL(int, "renameat2", int, const char *, int, const char *, unsigned)(a, one, b, other, flags);
}

int link(const char *one, const char *other) {
    if (has("NO_LINKS") && below(other)) { errno = EPERM; return -1; }
    if (refused(other)) return -1;
    return REAL(int, "link", const char *, const char *)(one, other);
}

int linkat(int a, const char *one, int b, const char *other, int flags) {
    if (has("NO_LINKS") && below(other)) { errno = EPERM; return -1; }
    if (refused(other)) return -1;
    return REAL(int, "linkat", int, const char *, int, const char *, int)(a, one, b, other, flags);
}

int symlink(const char *text, const char *path) {
    if (refused(path)) return -1;
    return REAL(int, "symlink", const char *, const char *)(text, path);
}

int symlinkat(const char *text, int folder, const char *path) {
    if (refused(path)) return -1;
    return REAL(int, "symlinkat", const char *, int, const char *)(text, folder, path);
}

/* $TIMES: "refuse", "ignore" (and say that it is done), or "even": whole, even seconds, as FAT. */
int utimensat(int folder, const char *path, const struct timespec *times, int flags) {
    const char *how = getenv("TIMES");
    struct timespec even[2];
    if (how && below(path)) {
        if (!strcmp(how, "refuse")) { errno = EPERM; return -1; }
        if (!strcmp(how, "ignore")) return 0;
        for (int i = 0; i < 2; i++) {
            even[i].tv_sec = times[i].tv_sec & ~1L;
            even[i].tv_nsec = 0;
        }
        times = even;
    }
    return REAL(int, "utimensat", int, const char *, const struct timespec *, int)(folder, path, times, flags);
}

int chmod(const char *path, mode_t mode) {
    if (has("NO_CHMOD") && below(path)) { errno = EPERM; return -1; }
    return REAL(int, "chmod", const char *, mode_t)(path, mode);
}

int fchmodat(int folder, const char *path, mode_t mode, int flags) {
    if (has("NO_CHMOD") && below(path)) { errno = EPERM; return -1; }
    return REAL(int, "fchmodat", int, const char *, mode_t, int)(folder, path, mode, flags);
}

int chown(const char *path, uid_t user, gid_t group) {
    if (has("NO_CHMOD") && below(path)) { errno = EPERM; return -1; }
    return REAL(int, "chown", const char *, uid_t, gid_t)(path, user, group);
}

int setxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    if (has("NO_CHMOD") && below(path)) { errno = EOPNOTSUPP; return -1; }
    return REAL(int, "setxattr", const char *, const char *, const void *, size_t, int)(path, name, value, size, flags);
}

/* $STUCK: nothing below it can be removed, as a file in use on Windows. */
int unlink(const char *path) {
    const char *stuck = getenv("STUCK");
    if (stuck && path && !strncmp(path, stuck, strlen(stuck))) { errno = EACCES; return -1; }
    return REAL(int, "unlink", const char *)(path);
}

int fsync(int descriptor) {
    struct stat at;
    if (has("NO_FOLDER_SYNC") && !fstat(descriptor, &at) && S_ISDIR(at.st_mode)) { errno = EINVAL; return -1; }
    return REAL(int, "fsync", int)(descriptor);
}
