/* A gzip file that is inflated as it is read, and never held packed. */
#ifndef JEM__BASE_GZIP_H
#define JEM__BASE_GZIP_H

#include <jem/status.h>

enum { JEM__MOST_INFLATION = 1032 }; /* deflate makes at most so many bytes of one */

/* zlib takes its memory where libjem does: before inflateInit. */
struct z_stream_s;
void jem__inflate_memory(struct z_stream_s *z);

typedef struct jem__gzip jem__gzip;

/* fd, at the begin of its `size` bytes, and path, for messages, stay the caller's and must
   outlive it. */
jem_status jem__gzip_open(jem__gzip **file, int fd, int64_t size, const char *path);
void jem__gzip_close(jem__gzip *file); /* NULL is fine */
/* Up to `room` bytes, fewer only at the end. */
jem_status jem__gzip_read(jem__gzip *file, uint8_t *bytes, int64_t room, int64_t *got);
int32_t jem__gzip_ended(const jem__gzip *file); /* the last byte is out */

#endif
