/* Shared by the files of the jem command. Uses the public API only.

   Functions that can fail return an exit code: 0, or that of a failure which
   has already been told on stderr. The command never calls setlocale, so that
   numbers have a point whatever the user's locale is. */
#ifndef CLI_H
#define CLI_H

#include <inttypes.h>
#include <jem.h>
#include <stdio.h>

enum { CODE_FAILED = 1, CODE_USAGE = 2, CODE_INTERRUPTED = 130 };
enum { ERROR_TEXT = 5120 }; /* room for any text of jem_last_error */

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))
#define TRY(expression)                                                                            \
    do {                                                                                           \
        int code_ = (expression);                                                                  \
        if (code_) return code_;                                                                   \
    } while (0)

/* ---- files.c ---- */

/* "FOLDER/NAME", cut to the capacity. */
void join(char *path, size_t capacity, const char *folder, const char *name);
/* The same of a file that a run is to write. A link of that name gives way, what it leads to stays:
   one to a pipe or a device, which would be written to, at once, any other when the new file is
   renamed. */
void join_new(char *path, size_t capacity, const char *folder, const char *name);
/* A new file to write, in place of a file or link of that name. NULL: errno says why. */
FILE *file_create(const char *path);
int has_suffix(const char *path, const char *suffix);
int is_file(const char *path); /* no pipe, folder or device */
/* The name to write path's new content under before it is renamed: one that nobody has, and no
   other process takes; those of killed processes go. 1: path itself, which is no file but, say,
   /dev/stdout. */
int beside_of(char *beside, size_t capacity, const char *path);

/* ---- text.c ---- */

int text_character(const char *text); /* bytes of its first character; 0: no UTF-8 */
/* C0, DEL and C1: a terminal may obey them. */
int text_is_control(const char *text);
/* Without control characters, whole characters of UTF-8. */
void text_clean(char *clean, size_t capacity, const char *text);
void text_print(FILE *out, const char *text);

/* ---- main.c ---- */

/* One line "jem: ..." on stderr; returns CODE_FAILED. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The analyzers see one file at a time: they must know what it returns. */
#ifdef __clang_analyzer__
#define fail(...) (fail(__VA_ARGS__), CODE_FAILED)
#endif
/* One line "warning: ..." on stderr, in place of a progress bar. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For a jem_status: 0, or the library's error text as that line. */
int check(jem_status status);
/* The same with the file in front whose images were refused. */
int check_input(const char *path, jem_status status);
/* Memory for count things of a size, zeroed; NULL has been told. */
void *allocate(int64_t count, size_t size);
double now(void); /* seconds, monotonic */

int run_train(int argc, char **argv);
int run_eval(int argc, char **argv);
int run_calibrate(int argc, char **argv);
int run_score(int argc, char **argv);
int run_sample(int argc, char **argv);
int run_report(int argc, char **argv);
int run_starts(int argc, char **argv);
int run_pack(int argc, char **argv);
int run_info(int argc, char **argv);
int run_help(int argc, char **argv);

/* ---- options.c ---- */

typedef enum option_kind {
    OPTION_FLAG,       /* int: set to 1 */
    OPTION_TEXT,       /* const char * */
    OPTION_INTEGER,    /* int64_t, >= 0 */
    OPTION_NUMBER,     /* double */
    OPTION_KEY,        /* target: name of a settings key; the value is its value */
    OPTION_KEY_FLAG,   /* the same without a value: sets the key to 1 */
    OPTION_POSITIONAL, /* const char *; name in capitals */
} option_kind;

typedef struct option {
    const char *name; /* without "--" */
    option_kind kind;
    int required;
    void *target;
    const char *argument; /* "FILE" */
    const char *help;     /* NULL for keys: the registry has it */
} option;

/* Settings given as --set key=value, --key=value or through OPTION_KEY. */
typedef struct settings {
    char *pairs[256];
    int64_t count;
} settings;

typedef struct command {
    const char *name, *summary, *notes;
    const option *options;
    int64_t count;
    settings *settings; /* NULL: takes none */
    /* Of the registry: those that it reads, and keys of them that it sets itself, as
       "sampler dataset !dataset.split". */
    const char *sections;
} command;

/* Returns 0 to go on, or -1 when help was printed, or an exit code. */
int options_parse(const command *command, int argc, char **argv);
int settings_apply(const settings *settings, jem_config *config);
void settings_clear(settings *settings);
/* Sets one key from text. */
int settings_set(jem_config *config, const char *key, const char *value);
/* The nearest of the names within a small edit distance, or NULL. */
const char *options_nearest(const char *name, const char *const *names, int64_t count);
int options_exclude(const char *text);          /* tells it; CODE_USAGE */
int options_help_settings(const char *section); /* NULL: all */

/* ---- effect.c: settings that another one makes void ---- */

/* Runs that train, attacks, chains of other commands. */
enum { EFFECT_FRESH = 1, EFFECT_RESUMED = 2, EFFECT_ATTACK = 4, EFFECT_CHAIN = 8 };

/* What chains that begin at images never read, for a command's sections. */
#define NOT_OF_CHAINS                                                                              \
    " !sampler.mode !sampler.buffer !sampler.restart !sampler.start !sampler.start_images "        \
    "!sampler.start_rank !sampler.conditional"

/* Refuses those that were given and have no effect in the whole configuration; CODE_USAGE. */
int effect_check(const settings *given, const jem_config *config, int of);
/* Refuses a given key, or all that begin with one that ends in '.' or '_'; `why` ends the line. */
int effect_none(const settings *given, const char *key, const char *why);
/* Refuses what is given for chains where none of the scores takes one. */
int effect_chain(const settings *given, const jem_config *config, int as_trained,
                 const char *scores);

/* ---- json.c: JSON text; null for numbers that are not finite ---- */

typedef struct json {
    FILE *file;
    int depth, compact, first;
} json;

void json_open(json *out, FILE *file, int compact);
/* key NULL inside arrays. */
void json_object(json *out, const char *key);
void json_array(json *out, const char *key);
void json_close(json *out, char bracket); /* '}' or ']' */
void json_number(json *out, const char *key, double value);
void json_float(json *out, const char *key, float value); /* the digits of a float */
void json_integer(json *out, const char *key, int64_t value);
void json_flag(json *out, const char *key, int value); /* true or false */
void json_text(json *out, const char *key, const char *value);
void json_end(json *out); /* the last line break */
/* The number after "key": in a line of JSON, NaN if there is none. */
double json_find(const char *line, const char *key);
/* The shortest text that reads back as the same number. */
void json_format(char *text, size_t capacity, double value);

/* ---- progress.c ---- */

typedef struct progress {
    const char *what;
    int64_t first, total;
    double began, shown;
    int terminal, drawn, length;
} progress;

void progress_begin(progress *bar, const char *what, int64_t first, int64_t total);
/* done of total; note may be NULL. Cheap to call often. */
void progress_update(progress *bar, int64_t done, const char *note);
void progress_end(progress *bar);

/* ---- plot.c: charts as PNG, PDF or SVG by the suffix of path (else PNG) ---- */

typedef struct plot_series {
    const char *name;
    const double *x, *y; /* y may hold NaN: a gap */
    int64_t count;
} plot_series;

typedef struct plot_panel {
    const char *title, *x_label, *y_label;
    plot_series series[4];
    int64_t count;
    double low, high; /* of y; equal: from the data */
} plot_panel;

int plot_lines(const char *path, const char *title, const plot_panel *panels, int64_t count);

/* bins as jem_eval_ece gives them. */
int plot_reliability(const char *path, const char *title, int64_t bins, const double *confidence,
                     const double *accuracy, const int64_t *count, double ece);

typedef struct plot_set {
    const char *name;
    const float *scores;
    int64_t count;
} plot_set;

int plot_histograms(const char *path, const char *title, const char *x_label, const plot_set *sets,
                    int64_t count);

typedef struct plot_cells {
    const char *name;
    const double *cells; /* images in each bin */
} plot_cells;

/* The same of sets that have been counted: `bins` equal bins from low to high. */
int plot_counts(const char *path, const char *title, const char *x_label, double low, double high,
                int64_t bins, const plot_cells *sets, int64_t count);

/* Curves from (0,0) to (1,1): x false, y true positive rate; `name` holds the AUROC. */
int plot_roc(const char *path, const char *title, const plot_series *curves, int64_t count);

/* ---- comment.c: how a picture was made, said inside its file ---- */

/* Puts the comment into a finished PNG or SVG; the name `kind` tells which. */
int comment_write(const char *path, const char *kind, const char *comment);
/* The Description of a PNG, clean for a terminal or a page; 0: it has none. Any file will do. */
int comment_read(const char *path, char *text, size_t capacity);

/* ---- images.c: what is scored ---- */

typedef struct images {
    const char *name; /* as the user wrote it */
    jem_dataset *data;
    int64_t count, channels, height, width;
} images;

/* Loads a model, in the precision of the settings; tells of a precision that this CPU
   lacks. The caller destroys it. */
int model_open(jem_model **model, jem_context *context, const char *path, const jem_config *config);
/* Settings that jem train left in the model file, and over them those of the command line. */
int model_recipe(const jem_model *model, const char *path, const settings *over,
                 jem_config *config);
/* What jem calibrate left there, to be destroyed; NULL: nothing. */
int model_calibration(const jem_model *model, jem_config **kept);
/* Text of a metadata entry, to be freed; NULL: there is none. */
int metadata_text(const jem_model *model, const char *key, char **text);
/* Key and text of a metadata entry, both to be freed after 0. */
int metadata_entry(const jem_model *model, int64_t index, char **key, char **text);
int model_tell_precision(const jem_model *model, const jem_config *config);

/* Opens KIND[:WHERE]; generated sets get the shape c, h, w.
   c 0: any shape. split: "train", "test", or NULL: the config's, else test. */
int images_open(images *set, jem_context *context, const char *source, const jem_config *config,
                const char *split, int64_t c, int64_t h, int64_t w);
/* Also uniform, constant and interpolations (of `of`, whose shape and count all have). */
int images_open_ood(images *set, jem_context *context, const char *source, const jem_config *config,
                    const char *split, const images *of);
/* The split that a source is opened with: an option of a generated one, else the setting's, else
   the standard. */
int images_split(char *split, size_t capacity, const char *source, const jem_config *config,
                 const char *standard);
/* Whether a source has a test split of its own: a packed file has none, and a png folder has one
   only in a folder test. */
int images_have_test(const char *source);
int images_read(const images *set, int64_t first, int64_t n, float *x, int32_t *y);
/* Scores of all images, to be freed; refine_* ones by the config's sampler.*. */
int images_score(const images *set, jem_model *model, const char *score, const jem_config *config,
                 float **scores);
/* Refuses, before any work, images whose labels are not of the model's classes, as far as names
   and number of classes tell. A set whose names the model knows none of is a warning. */
int images_check_classes(const images *set, const jem_model *model);
/* The same of test images beside those of training. */
int images_check_test(const images *test, const images *train);
/* Refuses dataset.resize for a source that is used at its own size. */
int images_check_resize(const char *source, const jem_config *config);
/* Logits and labels of all images, to be freed. */
int images_logits(const images *set, jem_model *model, float **logits, int32_t **labels);
void images_close(images *set);

/* ---- arrays.c: .npy in and out with the shapes of a model ---- */

/* float32 [n,C,H,W] of the model's shape; x is the array's. */
int array_images(jem_array **array, const char *path, const jem_model *model, const float **x,
                 int64_t *n);
/* int64 or int32 [n], n < 0: any; every label inside the classes; to be freed. */
int array_labels(const char *path, const jem_model *model, int64_t *n, int32_t **labels);
int array_save(const char *path, const float *values, int64_t dimensions, const int64_t *shape);
/* A grid that is about square, enlarged so that it can be seen; columns 0: chosen. */
int array_save_grid(const char *path, const float *x, int64_t n, int64_t columns, int64_t c,
                    int64_t h, int64_t w);
/* Whether it can be saved. */
int array_check_grid(const char *path, int64_t n, int64_t columns, int64_t h, int64_t w);

/* ---- metrics.c: the log of a run ---- */

typedef struct metrics {
    FILE *file;
    const char *folder;
    char path[4200];
    int64_t lost; /* lines that could not be written */
} metrics;

/* Opens DIR/metrics.jsonl; keeps its lines up to the trainer's step and roll-back. */
int metrics_open(metrics *m, const char *folder, const jem_trainer *trainer);
/* A line of the step, or of the roll-back that just happened. A line that cannot be
   written is a warning; metrics_close then fails. */
int metrics_write(metrics *m, const jem_trainer *trainer);
int metrics_rollback(metrics *m, const jem_trainer *trainer);
int metrics_close(metrics *m);
/* A line of a log into `line` of METRICS_LINE bytes; 0: there is none, or a longer one, which no
   run writes. */
enum { METRICS_LINE = 1 << 14 };
int metrics_line(FILE *file, char *line);
/* Draws the curves of a whole run. drawn 0: the log holds no step, and nothing was written. */
int metrics_plot(const char *path, const char *picture, int *drawn);

/* ---- describe.c ---- */

/* Metadata of the model that a run trains: names of classes, recipe, images held out. */
int describe_run(jem_model *model, const jem_config *config, const images *data, int64_t classes);

/* ---- folder.c: the folder of a run ---- */

int folder_make(const char *path); /* with those above it */
/* For this process alone, to its end. */
int folder_take(const char *path);
/* Whether the folder of this name is still the one that was taken. */
int folder_is_own(const char *path);
/* Makes and takes it again where somebody has removed it: a run is worth more. 0: by now another
   folder has the name, in which something is, or a process trains. */
int folder_restore(const char *path);
/* samples-000500.png: 500, the step after which the picture shows the replay buffer; -1: another
   name. */
int64_t folder_buffer_step(const char *name);
/* Removes the summary and the pictures of a run. */
void folder_clear(const char *path);

/* ---- saver.c: model.safetensors and checkpoint.safetensors of a run ---- */

typedef struct saver {
    double seconds; /* between checkpoints, 0: any; more where saving would take over 2 % */
    int64_t steps;  /* between checkpoints, whatever they cost; 0: any */
    jem_trainer *trainer;
    const jem_config *config;
    const char *folder;
    char model[4200], checkpoint[4200];
    double began, at, cost, before, total; /* times; of the last save; of that before it; of all */
    int64_t count;
    int told; /* that the interval is longer */
} saver;

/* Borrows all three. */
void saver_begin(saver *s, const char *folder, jem_trainer *trainer, const jem_config *config);
/* Whether a run left a checkpoint, of any age. */
int saver_exists(const char *checkpoint);
/* The newest of a run's checkpoints that is whole, and its settings. */
int saver_find(const char *checkpoint, char *path, size_t size, jem_config **config);
/* Whether the weights and buffer that the settings ask for are in the checkpoint: before there is
   room made for them. */
int saver_fits(const char *checkpoint, const jem_config *config);
int saver_save(saver *s);
/* Saves when it is time; a failure is a warning, and tried again later, but for a folder that is
   another's by now. */
int saver_step(saver *s, int64_t step);
/* After the first save: removes checkpoints beyond trainer.keep, and, with `all`, whatever the run
   before it wrote. */
void saver_clear(const saver *s, int all);
void saver_tell(const saver *s);

/* ---- report.c: what a finished run is worth ---- */

typedef struct report_run {
    jem_context *context;
    jem_model *model;
    jem_trainer *trainer;
    const jem_config *config;
    const char *file; /* the model's, in the folder */
    const char *folder, *data, *test, *ood;
    int curves; /* whether curves.png was drawn */
} report_run;

/* Pictures and summary.json in the folder, and a few lines on stdout. */
int report_write(const report_run *run);

/* ---- variants.c: models beside the one that is trained ---- */

/* Writes model_ema.safetensors and best.safetensors, where the run has them. */
jem_status variants_save(const jem_trainer *trainer, const jem_config *config, const char *folder);
/* Removes these of a run before, where this one has none. */
void variants_clear(const jem_trainer *trainer, const jem_config *config, const char *folder);
/* The model to judge a run by, if it is not the trained one itself (NULL), and its file. */
int variants_judged(jem_model **copy, const char **name, const jem_trainer *trainer,
                    const jem_config *config);
/* Sets the keys model.* that are not set yet to the source's. */
int variants_settings(const jem_model *source, jem_config *config);
/* Copies all weights that fit, and says which do not. */
int variants_begin(const jem_model *source, jem_model *model);

/* ---- report_page.c ---- */

/* The folder's files as one HTML page; output NULL: report.html in it; title NULL: its name. */
int report_page(const char *folder, const char *title, const char *output);

/* ---- eval_labels.c: shared with report.c and calibrate.c ---- */

typedef struct evaluation {
    double accuracy, nll, brier, ece;
    double bin_confidence[20], bin_accuracy[20];
    int64_t bin_count[20], images;
} evaluation;

enum { BINS = 20 };

int evaluate(const images *set, jem_model *model, evaluation *result);
/* Of logits [n,k] divided by a number. */
int evaluate_scaled(const float *logits, const int32_t *y, int64_t n, int64_t k, double by,
                    evaluation *result);

#endif
