/* Decisions: a temperature and a threshold, fitted on validation images, kept in
   the model's metadata as settings, and applied to an application's images. */
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "eval/eval.h"
#include "model/model.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <string.h>

static const char entry[] = "calibration";

/* Langevin steps of a decision's chain: a model file must not make one last for hours. */
enum { MOST_STEPS = 1000 };

/* ---- Fitting ---- */

/* The range of the key that keeps it. */
static jem_status check_temperature(const char *function, double temperature)
{
    const double low = 1e-30, high = 1e30;
    if (temperature >= low && temperature <= high) return JEM_OK;
    return jem__fail(JEM_ERROR_STATE,
                     "%s: the temperature of least NLL is %g, expected within %g..%g: the model's "
                     "logits differ by hardly anything, or by far too much",
                     function, temperature, low, high);
}

static jem_status fit_temperature(jem_model *model, const jem_dataset *data, int64_t count,
                                  double *temperature)
{
    static const char function[] = "jem_model_calibrate";
    int64_t k, values;
    int32_t found, *y = NULL;
    float *logits = NULL;
    JEM__TRY(jem_model_info(model, NULL, NULL, NULL, &k, NULL));
    if (!jem__multiply(count, k, &values))
        return jem__fail(JEM_ERROR_MEMORY, "%s: too many logits", function);
    jem_status status = jem__alloc(&logits, values, sizeof *logits);
    if (!status) status = jem__alloc(&y, count, sizeof *y);
    if (!status) status = jem_eval_logits(model, data, logits, values, y, count);
    if (!status) status = jem__eval_check(function, logits, y, count, k, temperature);
    if (!status) {
        *temperature = 1 / jem__eval_fit(logits, y, count, k, &found);
        status = found == -2 ? jem__eval_no_fit(function, found, count)
                             : check_temperature(function, *temperature);
    }
    jem__free(logits);
    jem__free(y);
    return status;
}

/* The scorer of calibrating and of predicting. */
static jem_status make_scorer(jem__scorer *s, const char *function, jem_model *model,
                              const jem_config *config)
{
    const char *score = jem__config_str(config, "calibration.score");
    JEM__TRY(jem__scorer_create(s, function, score, model, config));
    jem__scorer_alone(s);
    if (!s->sampler || s->steps <= MOST_STEPS) return JEM_OK;
    jem_status status = jem__fail(JEM_ERROR_CONFIG,
                                  "sampler.steps: got %" PRId64
                                  " with calibration.score=%s, expected 0..%d for a decision",
                                  s->steps, score, MOST_STEPS);
    jem__scorer_clear(s);
    return status;
}

static jem_status fit_threshold(jem__scorer *scorer, const jem_dataset *data, int64_t count,
                                double accept, float *threshold)
{
    float *scores = NULL;
    JEM__TRY(jem__alloc(&scores, count, sizeof *scores));
    jem_status status = jem__scorer_run_data(scorer, "jem_model_calibrate", data, count, scores);
    if (!status) status = jem_eval_threshold(scores, count, accept, threshold);
    jem__free(scores);
    return status;
}

/* Settings that stay with the model: the result, and for a chain its own. */
static jem_status put(jem_config *kept, const jem_config *config, double temperature,
                      float threshold, int64_t count)
{
    const char *score = jem__config_str(config, "calibration.score");
    JEM__TRY(jem_config_set_str(kept, "calibration.score", score));
    JEM__TRY(jem_config_set_f64(kept, "calibration.accept",
                                jem__config_f64(config, "calibration.accept")));
    JEM__TRY(jem_config_set_f64(kept, "calibration.temperature", temperature));
    JEM__TRY(jem_config_set_f64(kept, "calibration.threshold", threshold));
    JEM__TRY(jem_config_set_i64(kept, "calibration.images", count));
    if (strncmp(score, "refine_", 7) != 0) return JEM_OK;
    for (int64_t i = 0; i < jem__key_total; i++) {
        char value[192], text[256];
        int32_t set;
        if (strncmp(jem__keys[i].name, "sampler.", 8) != 0 || !config) continue;
        JEM__TRY(jem_config_is_set(config, jem__keys[i].name, &set));
        if (!set) continue;
        JEM__TRY(jem__config_print(config, jem__keys[i].name, value, sizeof value));
        jem__format(text, sizeof text, "%s=\"%s\"", jem__keys[i].name, value);
        JEM__TRY(jem_config_parse(kept, text));
    }
    return JEM_OK;
}

static jem_status keep(jem_model *model, const jem_config *kept)
{
    char *text = NULL;
    int64_t length = jem_config_text(kept, NULL, 0);
    JEM__TRY(jem__alloc(&text, length + 1, 1));
    jem_config_text(kept, text, length + 1);
    jem_status status = jem_model_metadata_set(model, entry, text);
    jem__free(text);
    return status;
}

jem_status jem_model_calibrate(jem_model *model, const jem_dataset *validation,
                               const jem_config *config)
{
    jem_config *kept = NULL;
    jem__scorer scorer;
    double temperature = 1;
    float threshold = 0;
    int64_t count;
    JEM__REQUIRE(model, "jem_model_calibrate");
    JEM__REQUIRE(validation, "jem_model_calibrate");
    JEM__ENTER(jem__model_context(model), "jem_model_calibrate");
    JEM__TRY(jem__eval_check_data("jem_model_calibrate", model, validation, &count));
    JEM__TRY(make_scorer(&scorer, "jem_model_calibrate", model, config));
    jem_status status = fit_temperature(model, validation, count, &temperature);
    if (!status)
        status = fit_threshold(&scorer, validation, count,
                               jem__config_f64(config, "calibration.accept"), &threshold);
    jem__scorer_clear(&scorer);
    if (!status) status = jem_config_create(&kept);
    if (!status) status = put(kept, config, temperature, threshold, count);
    if (!status) status = keep(model, kept);
    jem_config_destroy(kept);
    return status;
}

/* ---- Predicting ---- */

typedef struct prediction {
    jem_model *model;
    jem__eval_shape shape;
    int32_t calibrated;
    double beta; /* 1 / temperature */
    float threshold;
    jem__scorer scorer; /* if calibrated */
    float *logits, *energy, *scores;
} prediction;

/* Settings from the metadata; NULL: not calibrated. */
static jem_status kept_settings(const jem_model *model, jem_config **config)
{
    static const char *const needed[] = {"calibration.score", "calibration.temperature",
                                         "calibration.threshold"};
    char *text = NULL;
    int64_t length = jem_model_metadata_get(model, entry, NULL, 0);
    *config = NULL;
    if (length < 0) return JEM_OK;
    JEM__TRY(jem__alloc(&text, length + 1, 1));
    jem_model_metadata_get(model, entry, text, length + 1);
    jem_status status = jem_config_create(config);
    if (!status && (status = jem_config_parse(*config, text)) == JEM_ERROR_CONFIG)
        status = jem__fail_in(JEM_ERROR_FORMAT, "metadata %s", entry);
    for (int i = 0; !status && i < 3; i++) {
        int32_t set;
        status = jem_config_is_set(*config, needed[i], &set);
        if (!status && !set)
            status = jem__fail(JEM_ERROR_FORMAT, "metadata %s: got '%.64s', expected %s in it",
                               entry, text, needed[i]);
    }
    jem__free(text);
    if (status) {
        jem_config_destroy(*config);
        *config = NULL;
    }
    return status;
}

static jem_status read_calibration(prediction *p)
{
    jem_config *config;
    JEM__TRY(kept_settings(p->model, &config));
    if (!config) return JEM_OK;
    p->calibrated = 1;
    p->beta = 1 / jem__config_f64(config, "calibration.temperature");
    p->threshold = (float)jem__config_f64(config, "calibration.threshold");
    jem_status status = make_scorer(&p->scorer, "jem_model_predict", p->model, config);
    if (status == JEM_ERROR_CONFIG) status = jem__fail_in(JEM_ERROR_FORMAT, "metadata %s", entry);
    jem_config_destroy(config);
    return status;
}

static void clear(prediction *p)
{
    jem__scorer_clear(&p->scorer);
    jem__free(p->logits);
    jem__free(p->energy);
    jem__free(p->scores);
}

/* Most scores come with the logits and the energy; a gradient or a chain is extra. */
static jem_status score(prediction *p, const float *x, int64_t n)
{
    int64_t k = p->shape.classes;
    if (jem__scorer_is(&p->scorer, "log_px")) {
        for (int64_t i = 0; i < n; i++) p->scores[i] = -p->energy[i];
        return JEM_OK;
    }
    for (int64_t i = 0; i < n; i++)
        if (!jem__scorer_of_logits(&p->scorer, p->logits + i * k, &p->scores[i]))
            return jem__scorer_run(&p->scorer, x, n, 0, p->scores);
    return JEM_OK;
}

typedef struct answers {
    int32_t *y, *accepted;
    float *probability, *log_px;
} answers;

static jem_status predict_piece(prediction *p, const float *x, int64_t n, int64_t at,
                                const answers *a)
{
    int64_t k = p->shape.classes;
    JEM__TRY(jem__model_outputs(p->model, x, n, p->logits, p->energy));
    if (p->calibrated && a->accepted) {
        jem_status status = score(p, x, n);
        if (status < 0) return jem__fail_in(status, "jem_model_predict: images from %" PRId64, at);
    }
    for (int64_t i = 0; i < n; i++) {
        const float *row = p->logits + i * k;
        int64_t best = jem__eval_largest(row, k);
        double p_best = 1 / jem__eval_exponentials(row, k, row[best], p->beta);
        if (a->y) a->y[at + i] = (int32_t)best;
        if (a->probability) a->probability[at + i] = (float)p_best;
        if (a->log_px) a->log_px[at + i] = -p->energy[i];
        if (a->accepted) a->accepted[at + i] = p->calibrated ? p->scores[i] >= p->threshold : -1;
    }
    return JEM_OK;
}

jem_status jem_model_predict(jem_model *model, const float *x, int64_t n, int32_t *y,
                             float *probability, float *log_px, int32_t *accepted)
{
    static const char function[] = "jem_model_predict";
    prediction p = {.model = model, .beta = 1};
    const answers a = {y, accepted, probability, log_px};
    JEM__TRY(jem__eval_check_images(function, model, x, n, function));
    JEM__ENTER(jem__model_context(model), function);
    JEM__TRY(jem__eval_shape_of(&p.shape, model));
    jem_status status = read_calibration(&p);
    int64_t room = n < p.shape.piece ? n : p.shape.piece;
    if (!status) status = jem__alloc(&p.logits, room * p.shape.classes, sizeof *p.logits);
    if (!status) status = jem__alloc(&p.energy, room, sizeof *p.energy);
    if (!status) status = jem__alloc(&p.scores, room, sizeof *p.scores);
    for (int64_t i = 0; !status && i < n; i += p.shape.piece) {
        int64_t here = n - i < p.shape.piece ? n - i : p.shape.piece;
        status = predict_piece(&p, x + i * p.shape.image, here, i, &a);
    }
    clear(&p);
    return status;
}
