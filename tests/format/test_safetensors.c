/* safetensors: what is written is read, by upstream's rules; hostile files are refused. */
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>

/* A file of this header and so many data bytes 0, 1, 2, ...; free it. */
static uint8_t *file_of(const char *header, int64_t data, int64_t *size)
{
    int64_t length = (int64_t)strlen(header);
    uint8_t *bytes = calloc(1, (size_t)(8 + length + data));
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(length >> 8 * i);
    memcpy(bytes + 8, header, (size_t)length);
    for (int64_t i = 0; i < data; i++) bytes[8 + length + i] = (uint8_t)i;
    *size = 8 + length + data;
    return bytes;
}

static const float weights[] = {1, -2, 0.5f, 1e-30f, 3, 4};

/* A set of several types, sealed, as bytes; free them. */
static uint8_t *sample(int64_t *size)
{
    static const int64_t two_three[] = {2, 3}, none[] = {0, 5}, two[] = {2};
    static const int64_t longs[] = {-1, (int64_t)1 << 40};
    static const uint16_t halves[] = {0x3c00, 0xc000};
    jem__safetensors *set;
    OK(jem__safetensors_create(&set));
    OK(jem__safetensors_add(set, "a.weight", "F32", 2, two_three, weights));
    OK(jem__safetensors_add(set, "scalar", "F32", 0, NULL, weights + 2));
    OK(jem__safetensors_add(set, "nothing", "F32", 2, none, weights));
    OK(jem__safetensors_add(set, "quo\"ted\\\n\xc3\xa9", "I64", 1, two, longs));
    OK(jem__safetensors_add(set, "half", "F16", 1, two, halves));
    OK(jem__safetensors_set_metadata(set, "k\"ey", "first"));
    OK(jem__safetensors_set_metadata(set, "k\"ey", "tab\t, e\xcc\x81, \x01"));
    OK(jem__safetensors_seal(set));
    OK(jem__safetensors_save_memory(set, NULL, 0, size));
    uint8_t *bytes = malloc((size_t)*size);
    int64_t again;
    FAILS(JEM_ERROR_SHAPE, jem__safetensors_save_memory(set, bytes, *size - 1, &again), "expected");
    OK(jem__safetensors_save_memory(set, bytes, *size, &again));
    ck_assert_int_eq(again, *size);
    OK(jem__safetensors_save(set, test_path("sample")));
    jem__safetensors_destroy(set);
    return bytes;
}

START_TEST(round_trip)
{
    int64_t size, in_file;
    uint8_t *bytes = sample(&size), *file = test_get(test_path("sample"), &in_file);
    ck_assert_int_eq(size, in_file);
    ck_assert_mem_eq(bytes, file, (size_t)size);
    jem__safetensors *set;
    OK(jem__safetensors_load_memory(&set, bytes, size, "memory"));
    OK(jem__safetensors_verify(set, "memory"));
    ck_assert_int_eq(jem__safetensors_count(set), 5);
    const jem__tensor_info *t = jem__safetensors_find(set, "a.weight");
    ck_assert(t->dimensions == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->size == 24);
    ck_assert_mem_eq(t->bytes, weights, 24);
    ck_assert_int_eq(jem__safetensors_find(set, "scalar")->elements, 1);
    ck_assert_int_eq(jem__safetensors_find(set, "nothing")->elements, 0);
    ck_assert_ptr_nonnull(jem__safetensors_find(set, "quo\"ted\\\n\xc3\xa9"));
    ck_assert_ptr_null(jem__safetensors_find(set, "a"));
    ck_assert_str_eq(jem__safetensors_metadata(set, "k\"ey"), "tab\t, e\xcc\x81, \x01");
    ck_assert_ptr_null(jem__safetensors_metadata(set, "other"));
    jem__safetensors_destroy(set);
    free(bytes);
    free(file);
}
END_TEST

/* Upstream's reader wants a header that begins with {, data aligned to 8 after it,
   and tensors that follow one another without holes up to the end. */
START_TEST(layout)
{
    int64_t size, length = 0, at = 0;
    uint8_t *bytes = sample(&size);
    for (int i = 7; i >= 0; i--) length = length << 8 | bytes[i];
    ck_assert_int_eq(length % 8, 0);
    ck_assert_int_eq(bytes[8], '{');
    jem__safetensors *set;
    OK(jem__safetensors_load_memory(&set, bytes, size, "memory"));
    const uint8_t *first = jem__safetensors_get(set, 0)->bytes;
    for (int64_t i = 0; i < jem__safetensors_count(set); i++) {
        const jem__tensor_info *t = jem__safetensors_get(set, i);
        ck_assert_int_eq(t->bytes - first, at);
        at += t->size;
    }
    ck_assert_int_eq(8 + length + at, size);
    jem__safetensors_destroy(set);
    free(bytes);
}
END_TEST

START_TEST(conversions)
{
    static const uint16_t f16[] = {0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x7c00, 0x7e00, 0x3555};
    static const float from_f16[] = {1, -2, 0x1p-24f, -0.0f, 65504, INFINITY, NAN, 0.333251953125f};
    static const uint16_t bf16[] = {0x3f80, 0xc000, 0x3eab};
    static const float from_bf16[] = {1, -2, 0.333984375f};
    static const double f64[] = {0.1, 1e300};
    float out[8];
    jem__tensor_info t = {.dtype = "F16", .elements = 8, .bytes = (const uint8_t *)f16, .size = 16};
    OK(jem__safetensors_to_f32(&t, out));
    for (int i = 0; i < 8; i++)
        ck_assert(isnan(from_f16[i])
                      ? isnan(out[i])
                      : out[i] == from_f16[i] && !signbit(out[i]) == !signbit(from_f16[i]));
    t = (jem__tensor_info){.dtype = "BF16", .elements = 3, .bytes = (const uint8_t *)bf16};
    OK(jem__safetensors_to_f32(&t, out));
    ck_assert_mem_eq(out, from_bf16, sizeof from_bf16);
    t = (jem__tensor_info){.dtype = "F64", .elements = 2, .bytes = (const uint8_t *)f64};
    OK(jem__safetensors_to_f32(&t, out));
    ck_assert(out[0] == 0.1f && isinf(out[1]));
    t.dtype = "I32";
    FAILS(JEM_ERROR_FORMAT, jem__safetensors_to_f32(&t, out), "I32");
}
END_TEST

#define TENSOR "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"

START_TEST(hostile_headers)
{
    static const struct {
        const char *header;
        int64_t data;
        const char *word; /* of the error; NULL: fine */
    } cases[] = {
        {"{}", 0, NULL},
        {" { } \n", 0, NULL},
        {"{\"a\":{" TENSOR "[0,8]}}", 8, NULL},
        {"{\"a\" : { \"shape\":[ 2 ], \"data_offsets\":[0,8],\"dtype\":\"F32\" } }  ", 8, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775000],\"data_offsets\":[0,0]}}", 0,
         ""},
        {"", 0, "{"},
        {"[]", 0, "{"},
        {"{\"a\":{" TENSOR "[0,8]}", 8, "}"},
        {"{\"a\":{" TENSOR "[0,8]}} x", 8, "after the end"},
        {"{\"a\":{" TENSOR "[0,8]}", 8, "expected"},
        {"{\"a\":{" TENSOR "[0,8]},}", 8, "name"},
        {"{\"a\":{" TENSOR "[0,9]}}", 9, "9 bytes, expected 2 x 4"},
        {"{\"a\":{" TENSOR "[0,8]}}", 7, "truncated"},
        {"{\"a\":{" TENSOR "[8,0]}}", 8, "within"},
        {"{\"a\":{" TENSOR "[-8,0]}}", 8, "integer"},
        {"{\"a\":{" TENSOR "[0,8.0]}}", 8, "]"},
        {"{\"a\":{" TENSOR "[0]}}", 8, "two data_offsets"},
        {"{\"a\":{" TENSOR "[0,8,9]}}", 8, "too many"},
        {"{\"a\":{" TENSOR "[0,99999999999999999999]}}", 8, "integer"},
        {"{\"a\":{\"dtype\":\"Q7\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "Q7"},
        {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[0,8]}}",
         8, "overflows"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
         "expected"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8,
         "too many"},
        {"{\"a\":{" TENSOR "[0,8],\"more\":1}}", 8, "unknown field"},
        {"{\"a\":{" TENSOR "[0,8]},\"a\":{" TENSOR "[8,16]}}", 16, "twice"},
        {"{\"a\":{" TENSOR "[0,8]},\"b\":{" TENSOR "[4,12]}}", 12, "overlap"},
        {"{\"b\":{" TENSOR "[8,16]},\"a\":{" TENSOR "[0,8]}}", 16, NULL},
        {"{\"a\":{" TENSOR "[0,8]}}", 9, "end at byte 8, the file has 9"},
        {"{\"a\":{" TENSOR "[4,12]}}", 12, "no tensor has the bytes 0..4"},
        {"{\"a\":{" TENSOR "[0,8]},\"b\":{" TENSOR "[9,17]}}", 17, "no tensor has the bytes 8..9"},
        {"{}", 1, "end at byte 0"},
        {"{\"__metadata__\":{\"k\":\"v\",\"j\":\"\",\"k\":\"v\"}}", 0, "text k stands twice"},
        {"{\"__metadata__\":{\"k\":\"v\"},\"__metadata__\":{\"k\":\"w\"}}", 0,
         "text k stands twice"},
        {"{\"__metadata__\":{\"k\":5}}", 0, "text"},
        {"{\"__metadata__\":{\"k\":\"v\"", 0, "}"},
        {"{\"__metadata__\":{\"k\":\"\\u00e9\\ud83d\\ude00\"}}", 0, NULL},
        {"{\"__metadata__\":{\"k\":\"\\ud83d\"}}", 0, "text"},
        {"{\"__metadata__\":{\"k\":\"\\u0000\"}}", 0, "text"},
        {"{\"__metadata__\":{\"k\":\"v", 0, "text"},
        {"{\"__metadata__\":{\"k\":\"v\\", 0, "text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t size;
        uint8_t *bytes = file_of(cases[i].header, cases[i].data, &size);
        jem__safetensors *set;
        jem_status status = jem__safetensors_load_memory(&set, bytes, size, "FILE");
        char text[512] = "";
        jem_last_error(text, sizeof text);
        if (!cases[i].word) {
            ck_assert_msg(status == JEM_OK, "%s: %s", cases[i].header, text);
        } else if (*cases[i].word) {
            ck_assert_msg(status == JEM_ERROR_FORMAT, "%s: status %d", cases[i].header, status);
            ck_assert_msg(strstr(text, "FILE") && strstr(text, cases[i].word),
                          "%s: '%s' lacks '%s'", cases[i].header, text, cases[i].word);
            ck_assert_ptr_null(set);
        }
        jem__safetensors_destroy(set);
        free(bytes);
    }
}
END_TEST

START_TEST(hostile_lengths)
{
    static const uint64_t lengths[] = {0,         3, 1 << 20, (100 << 20) + 1, UINT64_C(1) << 63,
                                       UINT64_MAX};
    uint8_t bytes[16] = {0};
    jem__safetensors *set;
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 8; j++) bytes[j] = (uint8_t)(lengths[i] >> 8 * j);
        FAILS(JEM_ERROR_FORMAT, jem__safetensors_load_memory(&set, bytes, 16, "FILE"), "FILE");
        ck_assert_ptr_null(set);
    }
    for (int size = 0; size < 8; size++)
        FAILS(JEM_ERROR_FORMAT, jem__safetensors_load_memory(&set, bytes, size, "FILE"),
              "not a safetensors file");
    FAILS(JEM_ERROR_IO, jem__safetensors_load(&set, test_path("absent")), "absent");
    FAILS(JEM_ERROR_IO, jem__safetensors_load(&set, test_path("")), "regular");
}
END_TEST

START_TEST(more_tensors_than_any_network)
{
    enum { COUNT = 16385, EACH = 64 };
    char *header = malloc(COUNT * EACH), *at = header;
    at += sprintf(at, "{");
    for (int i = 0; i < COUNT; i++)
        at += sprintf(at, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                      i ? "," : "", i);
    sprintf(at, "}");
    int64_t size;
    uint8_t *bytes = file_of(header, 0, &size);
    jem__safetensors *set;
    FAILS(JEM_ERROR_FORMAT, jem__safetensors_load_memory(&set, bytes, size, "FILE"), "16384");
    free(header);
    free(bytes);
}
END_TEST

/* Every prefix of a file is refused, but those that lack only bytes of no tensor: none here. */
START_TEST(truncation)
{
    int64_t size;
    uint8_t *bytes = sample(&size);
    for (int64_t cut = 0; cut < size; cut++) {
        uint8_t *exact =
            malloc((size_t)cut + 1); /* its end is the heap's: ASan sees a step too far */
        memcpy(exact, bytes, (size_t)cut);
        jem__safetensors *set;
        ck_assert_int_eq(jem__safetensors_load_memory(&set, exact, cut, "FILE"), JEM_ERROR_FORMAT);
        free(exact);
    }
    free(bytes);
}
END_TEST

/* Every flipped bit is either refused by the reader or found by the checksum, but
   for those that change no tensor and no text: blanks, the checksum's own name. */
START_TEST(flipped_bits)
{
    int64_t size, passed = 0;
    uint8_t *bytes = sample(&size);
    for (int64_t bit = 0; bit < size * 8; bit++) {
        jem__safetensors *set;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        jem_status status = jem__safetensors_load_memory(&set, bytes, size, "FILE");
        if (!status) status = jem__safetensors_verify(set, "FILE");
        ck_assert(status == JEM_OK || status == JEM_ERROR_FORMAT);
        if (!status) {
            const jem__tensor_info *t = jem__safetensors_find(set, "a.weight");
            ck_assert_mem_eq(t->bytes, weights, 24);
            passed++;
        }
        jem__safetensors_destroy(set);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_le(passed, 80);
    free(bytes);
}
END_TEST

TESTS("safetensors", round_trip, layout, conversions, hostile_headers, hostile_lengths,
      more_tensors_than_any_network, truncation, flipped_bits)
