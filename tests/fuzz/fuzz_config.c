/* Texts of settings: what is accepted prints as a text that means the same; what is refused
   changes nothing. */
#include "fuzz.h"

enum { ROOM = 1 << 16 };

static void print(const jem_config *config, char *text)
{
    int64_t length = jem_config_text(config, text, ROOM);
    MUST(length >= 0 && length < ROOM && (int64_t)strlen(text) == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char text[4096], before[ROOM], after[ROOM];
    jem_config *config, *again;
    if (size >= sizeof text) return 0;
    memcpy(text, bytes, size);
    text[size] = 0;
    MUST(jem_config_create(&config) == JEM_OK && jem_config_create(&again) == JEM_OK);
    MUST(jem_config_parse(config, "model.depth=16 trainer.decay_at=\"1, 2\"") == JEM_OK);
    print(config, before);
    jem_status status = jem_config_parse(config, text);
    print(config, after);
    if (status) {
        MUST(status == JEM_ERROR_CONFIG && strcmp(before, after) == 0);
        MUST(jem_last_error(NULL, 0) > 0);
    } else {
        fuzz_accepted++;
        MUST(jem_config_parse(again, after) == JEM_OK);
        print(again, before);
        MUST(strcmp(before, after) == 0);
    }
    MUST(jem_config_preset(again, text) <= 0);
    jem_config_destroy(config);
    jem_config_destroy(again);
    return 0;
}
