/* See fuzz.h. */
#define _GNU_SOURCE
#include "fuzz.h"
#include "format/safetensors.h"

int64_t fuzz_accepted;
static char fuzz_scratch[64];

static void fuzz_clean(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fuzz_scratch);
    if (system(command)) perror(fuzz_scratch);
}

const char *fuzz_folder(void)
{
    if (*fuzz_scratch) return fuzz_scratch;
    snprintf(fuzz_scratch, sizeof fuzz_scratch, "%s/jem-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MUST(mkdtemp(fuzz_scratch) != NULL);
    atexit(fuzz_clean);
    return fuzz_scratch;
}

const char *fuzz_path(const char *name)
{
    static char paths[2][256];
    static int turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder(), name);
    return path;
}

void fuzz_put(const char *name, const void *bytes, size_t size)
{
    const char *path = fuzz_path(name);
    unlink(path); /* some file systems flush a file that is written again */
    FILE *f = fopen(path, "wb");
    MUST(f != NULL);
    MUST(fwrite(bytes, 1, size, f) == size);
    fclose(f);
}

/* The bytes that a header asks for behind it: up to the last of its tensors' ends. */
static size_t data_size(const uint8_t *header, size_t size)
{
    static const char mark[] = "\"data_offsets\":[";
    const uint8_t *at = header, *end = header + size;
    size_t most = 0;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1))) {
        size_t value = 0;
        for (at += sizeof mark - 1; at < end && *at != ']'; at++)
            value = *at == ',' ? 0 : value * 10 + (size_t)(*at - '0');
        if (value > most) most = value;
    }
    return most;
}

static void patch(uint8_t *data, size_t room, const uint8_t *at, const uint8_t *end)
{
    while (end - at > 4 && room) {
        size_t place = (at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16) % room;
        size_t count = (size_t)at[3] + 1;
        at += 4;
        if (count > (size_t)(end - at)) count = (size_t)(end - at);
        memcpy(data + place, at, count < room - place ? count : room - place);
        at += count;
    }
}

size_t fuzz_file(uint8_t *file, size_t most, const uint8_t *bytes, size_t size)
{
    const uint8_t *zero = size ? memchr(bytes, 0, size) : NULL, *end = bytes + size;
    size_t header = zero ? (size_t)(zero - bytes) : size, data = data_size(bytes, header);
    if (header > most - 8 || data > most - 8 - header) return 0;
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header >> 8 * i);
    if (header) memcpy(file + 8, bytes, header);
    memset(file + 8 + header, 0, data);
    if (zero) patch(file + 8 + header, data, zero + 1, end);
    return 8 + header + data;
}

int fuzz_put_sealed(const char *name, const uint8_t *bytes, size_t size)
{
    static uint8_t file[96 << 10], sealed[160 << 10];
    jem__safetensors *set;
    int64_t length = (int64_t)fuzz_file(file, sizeof file, bytes, size);
    if (!length || jem__safetensors_load_memory(&set, file, length, "fuzz")) return 0;
    jem_status status = jem__safetensors_seal(set);
    if (!status) status = jem__safetensors_save_memory(set, sealed, sizeof sealed, &length);
    if (!status) fuzz_put(name, sealed, (size_t)length);
    jem__safetensors_destroy(set);
    return !status;
}

jem_context *fuzz_context(void)
{
    static jem_context *context;
    jem_config *config;
    if (context) return context;
    MUST(jem_config_create(&config) == JEM_OK);
    MUST(jem_config_set_i64(config, "context.threads", 1) == JEM_OK);
    MUST(jem_context_create(&context, config) == JEM_OK);
    jem_config_destroy(config);
    return context;
}

static void read_images(const jem_dataset *data)
{
    int64_t n, c, h, w, classes;
    MUST(jem_dataset_info(data, &n, &c, &h, &w, &classes) == JEM_OK);
    for (int64_t i = 0; i < n && i < 64; i++) {
        float *x = malloc((size_t)(c * h * w) * sizeof *x);
        int32_t y = -1;
        MUST(x != NULL);
        jem_status status = jem_dataset_read(data, i, 1, x, INT64_MAX, &y);
        MUST(fuzz_fair(status));
        if (!status) MUST(y >= 0 && y < classes);
        free(x);
    }
}

/* What was found good in the file is so in its copy, too. */
static void check_copy(const jem_dataset *data, const jem_dataset *copy)
{
    int64_t one[5], other[5];
    char name[2][64];
    MUST(jem_dataset_info(data, one, one + 1, one + 2, one + 3, one + 4) == JEM_OK);
    MUST(jem_dataset_info(copy, other, other + 1, other + 2, other + 3, other + 4) == JEM_OK);
    MUST(memcmp(one, other, sizeof one) == 0);
    for (int64_t k = 0; k < one[4]; k++) {
        MUST(jem_dataset_class_name(data, k, name[0], 64) ==
             jem_dataset_class_name(copy, k, name[1], 64));
        MUST(strcmp(name[0], name[1]) == 0);
    }
    size_t image = (size_t)(one[1] * one[2] * one[3]) * sizeof(float);
    for (int64_t i = 0; i < one[0] && i < 64; i++) {
        float *x[2] = {malloc(image), malloc(image)};
        int32_t y[2];
        MUST(x[0] && x[1]);
        MUST(jem_dataset_read(data, i, 1, x[0], INT64_MAX, &y[0]) == JEM_OK);
        MUST(jem_dataset_read(copy, i, 1, x[1], INT64_MAX, &y[1]) == JEM_OK);
        MUST(memcmp(x[0], x[1], image) == 0 && y[0] == y[1]);
        free(x[0]);
        free(x[1]);
    }
}

/* Packs it and opens that. */
static void pack(const jem_dataset *data)
{
    char path[256], source[300];
    jem_dataset *copy;
    snprintf(path, sizeof path, "%s", fuzz_path("copy.jem"));
    snprintf(source, sizeof source, "packed:%s", path);
    unlink(path);
    jem_status status = jem_dataset_save(data, path);
    MUST(fuzz_fair(status));
    if (status) return;
    MUST(jem_dataset_open(&copy, fuzz_context(), source, NULL) == JEM_OK);
    check_copy(data, copy);
    jem_dataset_destroy(copy);
}

void fuzz_dataset(const char *kind, const char *where, const char *settings)
{
    char source[400];
    jem_config *config;
    jem_dataset *data;
    MUST(jem_config_create(&config) == JEM_OK);
    MUST(jem_config_parse(config, settings) == JEM_OK);
    snprintf(source, sizeof source, "%s:%s", kind, where);
    jem_status status = jem_dataset_open(&data, fuzz_context(), source, config);
    MUST(fuzz_fair(status) && !data == (status != JEM_OK));
    fuzz_accepted += data != NULL;
    if (data) read_images(data);
    if (data && strcmp(kind, "packed") == 0) pack(data);
    jem_dataset_destroy(data);
    jem_config_destroy(config);
}
