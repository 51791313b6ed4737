/* Blocks that grow. */
#include "base/memory.h"
#include "helpers.h"

START_TEST(keeps_items)
{
    int32_t *items = NULL;
    int64_t room = 0;
    for (int32_t i = 0; i < 5000; i++) {
        OK(jem__grow(&items, i, &room, i + 1, sizeof *items));
        ck_assert_int_ge(room, i + 1);
        ck_assert_int_eq(items[room - 1], 0);
        items[i] = i + 1;
    }
    for (int32_t i = 0; i < 5000; i++) ck_assert_int_eq(items[i], i + 1);
    jem__free(items);
}
END_TEST

START_TEST(failure_changes_nothing)
{
    int32_t *items = NULL, *before;
    int64_t room = 0, room_before;
    OK(jem__grow(&items, 0, &room, 3, sizeof *items));
    before = items;
    room_before = room;
    items[0] = 7;
    FAILS(JEM_ERROR_MEMORY, jem__grow(&items, 1, &room, INT64_MAX / 2, sizeof *items), "memory");
    ck_assert(items == before && room == room_before && items[0] == 7);
    jem__free(items);
}
END_TEST

TESTS("grow", keeps_items, failure_changes_nothing)
