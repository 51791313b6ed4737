/* The little JSON that headers need: tokens, texts, integers; and a growing text. */
#ifndef JEM__FORMAT_JSON_H
#define JEM__FORMAT_JSON_H

#include <jem/status.h>

/* A position in a text of known end. All functions skip blanks first and return
   1 if what they look for is there; at most then do they move on. */
typedef struct jem__json {
    const char *start, *at, *end;
} jem__json;

void jem__json_blanks(jem__json *json);
int jem__json_token(jem__json *json, char token);
int jem__json_integer(jem__json *json, int64_t *value); /* >= 0 */
/* A text with its escapes resolved, as UTF-8 without NUL; fits size with its end. */
int jem__json_text(jem__json *json, char *text, size_t size);
/* Bytes that surely hold the text that comes next. */
int64_t jem__json_text_room(jem__json *json);

typedef struct jem__text {
    char *bytes;
    int64_t length, room;
    jem_status status; /* of the first failure; later calls do nothing */
} jem__text;
void jem__text_add(jem__text *text, const char *more);
void jem__text_quote(jem__text *text, const char *value); /* as a JSON string */

#endif
