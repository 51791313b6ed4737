/* What reading and writing PNG share. */
#ifndef JEM__FORMAT_PNG_PARTS_H
#define JEM__FORMAT_PNG_PARTS_H

#include "base/memory.h"
#include <png.h>

static void warn(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

/* libpng and the zlib in it take their memory where libjem takes it. */
static png_voidp take_memory(png_structp png, png_alloc_size_t size)
{
    void *block;
    (void)png;
    return size > INT64_MAX || jem__alloc(&block, (int64_t)size, 1) ? NULL : block;
}

static void give_memory(png_structp png, png_voidp block)
{
    (void)png;
    jem__free(block);
}

#endif
