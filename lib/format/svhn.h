/* What the readers of SVHN's MATLAB files share. */
#ifndef JEM__FORMAT_SVHN_H
#define JEM__FORMAT_SVHN_H

#include "format/images.h"

enum {
    JEM__SVHN_SIZE = 32,
    JEM__SVHN_PLANES = 3,
    JEM__SVHN_IMAGE = JEM__SVHN_PLANES * JEM__SVHN_SIZE * JEM__SVHN_SIZE
};

/* An image's columns first, as MATLAB has them, to rows first. */
void jem__svhn_turn(uint8_t *to, const uint8_t *image);
/* Labels of 1..10, 10 for digit 0. */
jem_status jem__svhn_labels(jem__images *images, const uint8_t *bytes, int64_t n, const char *path);
/* Through matio, where it was built in. */
jem_status jem__svhn_matio(jem__images *images, const char *path, int64_t file_size, int64_t limit);

#endif
