/* Checkpoints as files: what says that one is whole. docs/formats.md lists what is in it,
   train/checkpoint.c writes it. */
#include "format/checkpoint.h"
#include "base/status.h"
#include <string.h>

int32_t jem__checkpoint_is(const jem__safetensors *set)
{
    const char *format = jem__safetensors_metadata(set, "format");
    return format && strcmp(format, JEM__CHECKPOINT_FORMAT) == 0;
}

jem_status jem__checkpoint_expect(const jem__safetensors *set, const char *file, const char *key,
                                  const char *expected)
{
    const char *got = jem__safetensors_metadata(set, key);
    if (got && strcmp(got, expected) == 0) return JEM_OK;
    return jem__fail(JEM_ERROR_FORMAT, "%s: %s is '%.64s', expected '%s'", file, key,
                     got ? got : "", expected);
}

/* Versions count up from 1. */
static jem_status check_version(const jem__safetensors *set, const char *file)
{
    const char *got = jem__safetensors_metadata(set, "format_version");
    char known[16];
    for (int i = 1; got && i <= JEM__CHECKPOINT_VERSION; i++) {
        jem__format(known, sizeof known, "%d", i);
        if (strcmp(got, known) == 0) return JEM_OK;
    }
    return jem__fail(JEM_ERROR_FORMAT, "%s: format_version is '%.16s', this libjem reads 1..%d",
                     file, got ? got : "", JEM__CHECKPOINT_VERSION);
}

jem_status jem__checkpoint_check(const jem__safetensors *set, const char *file)
{
    JEM__TRY(jem__checkpoint_expect(set, file, "format", JEM__CHECKPOINT_FORMAT));
    JEM__TRY(check_version(set, file));
    const char *settings = jem__safetensors_metadata(set, "settings");
    const char *data = jem__safetensors_metadata(set, "data");
    if (!settings || !data)
        return jem__fail(JEM_ERROR_FORMAT, "%s: no %s entry in the metadata", file,
                         settings ? "data" : "settings");
    return jem__safetensors_verify(set, file);
}
