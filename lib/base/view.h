/* A file that is read here and there, as one larger than memory is. */
#ifndef JEM__BASE_VIEW_H
#define JEM__BASE_VIEW_H

#include <jem/status.h>

typedef struct jem__view jem__view;

/* Opens a regular file. map 0: bytes come by pread, so a file that shrinks or a disk that fails
   is an error. map non-zero: through a memory mapping, where either of them ends the process
   (SIGBUS). */
jem_status jem__view_open(jem__view **view, const char *path, int32_t map);
void jem__view_close(jem__view *view);         /* NULL is fine */
int64_t jem__view_size(const jem__view *view); /* when it was opened */
const char *jem__view_path(const jem__view *view);
/* Bytes at..at+size-1, which must lie in the file. Any number of threads. */
jem_status jem__view_read(const jem__view *view, void *bytes, int64_t size, int64_t at);

#endif
