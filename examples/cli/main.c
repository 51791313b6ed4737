/* jem: trains, evaluates, scores with and samples from joint energy models. */
#include "cli.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#undef fail

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"train", "train a model on a data set", run_train},
    {"eval", "accuracy, calibration, detection of the unknown", run_eval},
    {"calibrate", "fit temperature and acceptance threshold, keep them in the model",
     run_calibrate},
    {"score", "class and log p(x) of images, their energies and gradients", run_score},
    {"sample", "draw images by Langevin dynamics", run_sample},
    {"report", "a run or its evaluations as one HTML page", run_report},
    {"starts", "keep class Gaussians in a model, for chains without the data", run_starts},
    {"pack", "write a data set as one file", run_pack},
    {"info", "what a model file holds", run_info},
    {"help", "this text; 'jem help COMMAND', 'jem help settings [SECTION]'", run_help},
};

/* Names of files and classes are anybody's: what a terminal would obey is left out. */
static void tell(const char *lead, const char *format, va_list arguments)
{
    char text[ERROR_TEXT + 5120];
    vsnprintf(text, sizeof text, format, arguments);
    fputs(lead, stderr);
    text_print(stderr, text);
    fputc('\n', stderr);
}

int fail(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    va_start(arguments, format);
    tell("jem: ", format, arguments);
    va_end(arguments);
    return CODE_FAILED;
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(isatty(STDERR_FILENO) ? "\r\033[Kwarning: " : "warning: ", format, arguments);
    va_end(arguments);
}

int check(jem_status status)
{
    char text[ERROR_TEXT];
    if (status >= 0) return 0;
    jem_last_error(text, sizeof text);
    return fail("%s", *text ? text : jem_status_name(status));
}

int check_input(const char *path, jem_status status)
{
    char text[ERROR_TEXT];
    if (status >= 0) return 0;
    jem_last_error(text, sizeof text);
    return fail("%s: %s", path, text);
}

void *allocate(int64_t count, size_t size)
{
    void *memory = count < 0 ? NULL : calloc(count ? (size_t)count : 1, size);
    if (!memory) fail("out of memory: %" PRId64 " x %zu bytes", count, size);
    return memory;
}

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void print_help(FILE *out)
{
    fputs("Usage: jem COMMAND [OPTIONS]\n\n"
          "Joint energy models: one network that classifies, knows how likely an image is,\n"
          "and draws samples.\n\nCommands:\n",
          out);
    for (int64_t i = 0; i < COUNT(commands); i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\nA first run:\n"
          "  jem train --data glyphs --preset glyphs --output run\n"
          "  jem eval ood --model run/model.safetensors --data glyphs --ood letters\n\n"
          "'jem COMMAND --help' tells a command's options, 'jem help settings' every setting.\n",
          out);
}

static void print_version(void)
{
    char text[256];
    printf("jem %s\n", jem_version());
    jem_build_info(text, sizeof text);
    if (*text) printf("%s\n", text);
}

static int find(const char *name)
{
    const char *names[COUNT(commands)];
    for (int i = 0; i < COUNT(commands); i++) {
        names[i] = commands[i].name;
        if (!strcmp(name, names[i])) return i;
    }
    const char *nearest = options_nearest(name, names, COUNT(commands));
    fail("unknown command '%s'%s%s%s (see 'jem help')", name, nearest ? ", did you mean '" : "",
         nearest ? nearest : "", nearest ? "'?" : "");
    return -1;
}

int run_help(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "settings")) return options_help_settings(argc > 2 ? argv[2] : NULL);
    int i = find(argv[1]),
        measure = argc > 2 && !strcmp(argv[1], "eval"); /* eval has subcommands */
    if (i < 0) return CODE_USAGE;
    char help[] = "--help", *arguments[] = {argv[1], measure ? argv[2] : help, help, NULL};
    return commands[i].run(2 + measure, arguments);
}

/* A full disk shows only when the last bytes are written. */
static int close_output(int code)
{
    int bad = ferror(stdout);
    if ((fflush(stdout) || bad) && !code) {
        perror("jem: cannot write to standard output");
        return CODE_FAILED;
    }
    return code;
}

/* Where a standard stream is closed, the next file that is opened would get its number, and what
   is printed. Writing to one stays an error. */
static void hold_streams(void)
{
    int fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO) fd = dup(fd);
    if (fd >= 0) close(fd);
}

int main(int argc, char **argv)
{
    hold_streams();
    if (argc < 2) {
        print_help(stderr);
        return CODE_USAGE;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        print_version();
        return close_output(0);
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return close_output(run_help(1, argv));
    int i = find(argv[1]);
    if (i < 0) return CODE_USAGE;
    return close_output(commands[i].run(argc - 1, argv + 1));
}
