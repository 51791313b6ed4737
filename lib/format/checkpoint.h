/* What every reader of a checkpoint checks before it takes anything from it. */
#ifndef JEM__FORMAT_CHECKPOINT_H
#define JEM__FORMAT_CHECKPOINT_H

#include "format/safetensors.h"

/* The metadata "format" and "format_version" of what libjem writes. */
#define JEM__CHECKPOINT_FORMAT "jem-checkpoint"
enum { JEM__CHECKPOINT_VERSION = 1 };

int32_t jem__checkpoint_is(const jem__safetensors *set); /* says that it is one */
/* FORMAT unless it is whole and of a version known here. */
jem_status jem__checkpoint_check(const jem__safetensors *set, const char *file);
/* FORMAT unless that entry of the metadata is the text expected. */
jem_status jem__checkpoint_expect(const jem__safetensors *set, const char *file, const char *key,
                                  const char *expected);

#endif
