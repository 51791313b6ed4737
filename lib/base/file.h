/* Files: bounded reading, gzip (file.c), atomic writing (writer.c). Errors name the path. */
#ifndef JEM__BASE_FILE_H
#define JEM__BASE_FILE_H

#include <jem/status.h>

/* open(2), continued after interruptions. */
int jem__open(const char *path, int flags, uint32_t mode);
/* Opens a regular file for reading; *size is that of the moment. *fd is -1 on failure. */
jem_status jem__file_open(int *fd, int64_t *size, const char *path);
/* Reads a whole file of at most limit bytes (allocated with jem__alloc, plus a
   terminating 0 that is not counted). Files that begin with the gzip magic are
   inflated when gzip is non-zero; limit bounds the inflated size. */
jem_status jem__file_read(uint8_t **bytes, int64_t *size, const char *path, int64_t limit,
                          int32_t gzip);
/* The first *count bytes, fewer if there are no more, inflated if it is a gzip file: to learn from
   a header how many bytes to allow. */
jem_status jem__file_head(uint8_t *head, int64_t *count, const char *path);
/* *exists is 0 where nothing has that name; where nobody can tell it is an error. */
jem_status jem__file_exists(int32_t *exists, const char *path);

/* Writes path.tmp.PID.N, fsyncs it, renames it over path and fsyncs the folder. On
   any failure before the rename path is untouched and the temporary file gone. The new
   file has the permissions of the one that it replaces.
   What killed processes left of the same path is removed when a writer opens; a
   lock (flock) tells it from the files of writers at work. */
typedef struct jem__writer jem__writer;
jem_status jem__writer_open(jem__writer **writer, const char *path);
/* The commit keeps older files: path.1 is the one replaced, path.2 the one before
   it, ..., `count` files in all. 1, the default: path alone. */
void jem__writer_keep(jem__writer *writer, int64_t count);
jem_status jem__writer_write(jem__writer *writer, const void *bytes, int64_t size);
jem_status jem__writer_commit(jem__writer *writer); /* frees it, also on failure */
void jem__writer_abandon(jem__writer *writer);      /* frees it; NULL is fine */

#endif
