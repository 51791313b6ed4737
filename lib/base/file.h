/* Files: bounded reading, gzip, atomic writing. Errors name the path. */
#ifndef JEM__BASE_FILE_H
#define JEM__BASE_FILE_H

#include <jem/status.h>

/* Reads a whole file of at most limit bytes (allocated with jem__alloc, plus a
   terminating 0 that is not counted). Files that begin with the gzip magic are
   inflated when gzip is non-zero; limit bounds the inflated size. */
jem_status jem__file_read(uint8_t **bytes, int64_t *size, const char *path, int64_t limit,
                          int32_t gzip);
int32_t jem__file_exists(const char *path);

/* Writes path.tmp.PID, flushes, fsyncs, renames over path, fsyncs the directory.
   On any failure the temporary file is removed and path is untouched. */
typedef struct jem__writer jem__writer;
jem_status jem__writer_open(jem__writer **writer, const char *path);
jem_status jem__writer_write(jem__writer *writer, const void *bytes, int64_t size);
jem_status jem__writer_commit(jem__writer *writer); /* frees it, also on failure */
void jem__writer_abandon(jem__writer *writer);      /* frees it; NULL is fine */

#endif
