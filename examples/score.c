/* Loads a model, prepares application pixels, prints what the model decides: class,
   probability, log p(x), and whether the image is like those it knows ("accepted";
   a model learns its threshold by jem calibrate, or jem_model_calibrate).

   usage: score MODEL.safetensors [IMAGE.pgm|IMAGE.ppm]
   Without an image it draws a little "1" itself. */
#include <jem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1024 };

/* Binary PGM or PPM of at most 1024 x 1024 pixels. */
static int read_pnm(const char *path, uint8_t *pixels, int *width, int *height, int *channels)
{
    char magic[3] = "";
    int most = 0;
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    int good = fscanf(file, "%2s %d %d %d", magic, width, height, &most) == 4 && most == 255 &&
               *width > 0 && *width <= MOST && *height > 0 && *height <= MOST;
    *channels = strcmp(magic, "P6") == 0 ? 3 : 1;
    size_t bytes = good ? (size_t)*width * (size_t)*height * (size_t)*channels : 0;
    good = good && fgetc(file) != EOF && fread(pixels, 1, bytes, file) == bytes;
    fclose(file);
    return good;
}

int main(int argc, char **argv)
{
    static uint8_t pixels[MOST * MOST * 3];
    int width = 28, height = 28, channels = 1, status = 1;
    jem_context *context = NULL;
    jem_model *model = NULL;
    float *x = NULL, probability, log_px;
    int32_t y, accepted;
    int64_t c, h, w;

    if (argc < 2) {
        fprintf(stderr, "usage: score MODEL.safetensors [IMAGE.pgm|IMAGE.ppm]\n");
        return 2;
    }
    if (argc > 2 && !read_pnm(argv[2], pixels, &width, &height, &channels)) {
        fprintf(stderr, "%s: not a binary PGM or PPM of 8 bits\n", argv[2]);
        return 1;
    }
    for (int i = 6; argc == 2 && i < 22; i++) memset(pixels + i * 28 + 13, 230, 3);

    if (jem_context_create(&context, NULL) || jem_model_load(&model, context, argv[1]) ||
        jem_model_info(model, &c, &h, &w, NULL, NULL))
        goto done;
    x = malloc((size_t)(c * h * w) * sizeof *x);
    if (!x ||
        jem_model_prepare(model, pixels, width, height, 0,
                          channels == 3 ? JEM_PIXEL_RGB8 : JEM_PIXEL_GREY8, 1, x, c * h * w) ||
        jem_model_predict(model, x, 1, &y, &probability, &log_px, &accepted))
        goto done;

    char name[64];
    jem_model_class_name(model, y, name, sizeof name);
    printf("class %s, probability %.4f, log p(x) = %.3f + constant, %s\n", name,
           (double)probability, (double)log_px,
           accepted < 0 ? "not calibrated"
           : accepted   ? "accepted"
                        : "rejected");
    status = 0;

done:
    if (status) {
        char text[512];
        jem_last_error(text, sizeof text);
        fprintf(stderr, "score: %s\n", text);
    }
    free(x);
    jem_model_destroy(model);
    jem_context_destroy(context);
    return status;
}
