typedef int32_t jem_key_type;
typedef int32_t jem_log_level;
typedef int32_t jem_type;
typedef int32_t jem_pixel_format;
typedef int32_t jem_parameter_kind;
typedef int32_t jem_pass_mode;
typedef int32_t jem_gradient;
typedef int32_t jem_status;
typedef struct jem_array jem_array;
typedef struct jem_config jem_config;
typedef struct jem_context jem_context;
typedef struct jem_dataset jem_dataset;
typedef struct jem_loader jem_loader;
typedef struct jem_model jem_model;
typedef struct jem_network jem_network;
typedef struct jem_optimizer jem_optimizer;
typedef struct jem_pass jem_pass;
typedef struct jem_sampler jem_sampler;
typedef struct jem_trainer jem_trainer;
enum {
    JEM_KEY_I64 = 1,
    JEM_KEY_F64 = 2,
    JEM_KEY_STR = 3,
    JEM_LOG_WARNING = 1,
    JEM_LOG_INFO = 2,
    JEM_LOG_DEBUG = 3,
    JEM_TYPE_U8 = 1,
    JEM_TYPE_F32 = 2,
    JEM_TYPE_I32 = 3,
    JEM_TYPE_I64 = 4,
    JEM_TYPE_F64 = 5,
    JEM_PIXEL_GREY8 = 1,
    JEM_PIXEL_RGB8 = 2,
    JEM_PIXEL_BGR8 = 3,
    JEM_PIXEL_RGBA8 = 4,
    JEM_PARAMETER_TRAINABLE = 1,
    JEM_PARAMETER_STATISTIC = 2,
    JEM_PASS_INFER = 1,
    JEM_PASS_INPUT_GRADIENT = 2,
    JEM_PASS_GRADIENT = 3,
    JEM_PASS_TRAIN = 4,
    JEM_PASS_TRAIN_INPUT = 5,
    JEM_PASS_HEAD = 6,
    JEM_GRADIENT_PARAMETERS = 1,
    JEM_GRADIENT_INPUT = 2,
    JEM_OK = 0,
    JEM_CANCELLED = 1,
    JEM_END = 2,
    JEM_ROLLED_BACK = 3,
    JEM_ERROR_ARGUMENT = -1,
    JEM_ERROR_SHAPE = -2,
    JEM_ERROR_CONFIG = -3,
    JEM_ERROR_MEMORY = -4,
    JEM_ERROR_IO = -5,
    JEM_ERROR_FORMAT = -6,
    JEM_ERROR_STATE = -7,
    JEM_ERROR_BACKEND = -8,
    JEM_ERROR_DIVERGED = -9,
    JEM_ERROR_UNSUPPORTED = -10,
    JEM_ERROR_FORK = -11,
    JEM_ABI_VERSION = 1,
};
typedef struct jem_allocator {
    int64_t struct_size;
    void *user;
    void *(*allocate)(void *user, int64_t size, int64_t alignment);
    void (*release)(void *user, void *pointer, int64_t size);
} jem_allocator;
typedef struct jem_log {
    int64_t struct_size;
    void *user;
    int64_t level;
    void (*write)(void *user, jem_log_level level, const char *text);
} jem_log;
typedef struct jem_dataset_callbacks {
    int64_t struct_size;
    void *user;
    int32_t (*read)(void *user, const int64_t *indices, int64_t n, void *pixels, int32_t *labels);
    void (*release)(void *user);
} jem_dataset_callbacks;
typedef struct jem_trainer_callbacks {
    int64_t struct_size;
    void *user;
    int32_t (*step)(void *user, jem_trainer *trainer, int64_t step);
    int32_t (*rollback)(void *user, jem_trainer *trainer, int64_t from, int64_t to,
                        const char *reason);
} jem_trainer_callbacks;
jem_status jem_array_load(jem_array **array, const char *path);
void jem_array_destroy(jem_array *array);
jem_status jem_array_info(const jem_array *array, jem_type *type, int64_t *dimensions,
                          int64_t *shape, const void **data);
jem_status jem_array_save(const char *path, const void *data, jem_type type, int64_t dimensions,
                          const int64_t *shape);
jem_status jem_array_save_png(const char *path, const float *x, int64_t n, int64_t c, int64_t h,
                              int64_t w, int64_t columns, int64_t scale, int64_t gap);
jem_status jem_config_create(jem_config **config);
jem_status jem_config_clone(jem_config **copy, const jem_config *config);
void jem_config_destroy(jem_config *config);
jem_status jem_config_set_i64(jem_config *config, const char *key, int64_t value);
jem_status jem_config_set_f64(jem_config *config, const char *key, double value);
jem_status jem_config_set_str(jem_config *config, const char *key, const char *value);
jem_status jem_config_get_i64(const jem_config *config, const char *key, int64_t *value);
jem_status jem_config_get_f64(const jem_config *config, const char *key, double *value);
int64_t jem_config_get_str(const jem_config *config, const char *key, char *buffer,
                           int64_t capacity);
jem_status jem_config_is_set(const jem_config *config, const char *key, int32_t *set);
jem_status jem_config_parse(jem_config *config, const char *text);
int64_t jem_config_text(const jem_config *config, char *buffer, int64_t capacity);
jem_status jem_config_preset(jem_config *config, const char *name);
jem_status jem_config_load(jem_config **config, const char *path);
int64_t jem_config_key_count(void);
jem_status jem_config_key_info(int64_t index, const char **name, jem_key_type *type,
                               const char **standard, const char **range, const char **help);
jem_status jem_context_create(jem_context **context, const jem_config *config);
jem_status jem_context_create_hosted(jem_context **context, const jem_config *config,
                                     const jem_allocator *allocator, const jem_log *log);
void jem_context_destroy(jem_context *context);
jem_status jem_context_threads(const jem_context *context, int64_t *threads);
jem_status jem_context_memory(const jem_context *context, int64_t *bytes, int64_t *peak);
jem_status jem_dataset_open(jem_dataset **dataset, jem_context *context, const char *source,
                            const jem_config *config);
jem_status jem_dataset_create(jem_dataset **dataset, jem_context *context, const void *pixels,
                              jem_type type, const int32_t *labels, int64_t n, int64_t c, int64_t h,
                              int64_t w);
jem_status jem_dataset_create_callbacks(jem_dataset **dataset, jem_context *context,
                                        const jem_dataset_callbacks *callbacks, jem_type type,
                                        int64_t n, int64_t c, int64_t h, int64_t w,
                                        int64_t classes);
jem_status jem_dataset_save(const jem_dataset *dataset, const char *path);
jem_status jem_dataset_subset(jem_dataset **subset, jem_dataset *dataset, const int64_t *indices,
                              int64_t n);
jem_status jem_dataset_split(jem_dataset **first, jem_dataset **second, jem_dataset *dataset,
                             int64_t n, uint64_t seed);
jem_status jem_dataset_balanced(jem_dataset **subset, jem_dataset *dataset, int64_t per_class,
                                uint64_t seed);
jem_status jem_dataset_derive(jem_dataset **derived, jem_dataset *dataset, const char *kind,
                              uint64_t seed);
void jem_dataset_destroy(jem_dataset *dataset);
jem_status jem_dataset_info(const jem_dataset *dataset, int64_t *count, int64_t *channels,
                            int64_t *height, int64_t *width, int64_t *classes);
jem_status jem_dataset_read(const jem_dataset *dataset, int64_t first, int64_t n, float *x,
                            int64_t capacity, int32_t *y);
int64_t jem_dataset_class_name(const jem_dataset *dataset, int64_t k, char *buffer,
                               int64_t capacity);
jem_status jem_eval_accuracy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                             double *accuracy);
jem_status jem_eval_nll(const float *logits, const int32_t *y, int64_t n, int64_t k, double *nll);
jem_status jem_eval_brier(const float *logits, const int32_t *y, int64_t n, int64_t k,
                          double *brier);
jem_status jem_eval_ece(const float *logits, const int32_t *y, int64_t n, int64_t k, int64_t bins,
                        double *ece, double *confidence, double *accuracy, int64_t *count);
jem_status jem_eval_temperature(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                double *temperature);
jem_status jem_eval_ood(const float *in, int64_t n_in, const float *out, int64_t n_out,
                        double *auroc, double *aupr_in, double *aupr_out, double *fpr95);
jem_status jem_eval_roc(const float *in, int64_t n_in, const float *out, int64_t n_out, double *fpr,
                        double *tpr, float *threshold, int64_t capacity, int64_t *points);
jem_status jem_eval_threshold(const float *scores, int64_t n, double accept, float *threshold);
jem_status jem_eval_histogram(const float *scores, int64_t n, double low, double high, int64_t bins,
                              int64_t *count);
jem_status jem_eval_frechet(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d,
                            double *distance);
jem_status jem_eval_inception(const float *probabilities, int64_t n, int64_t k, int64_t parts,
                              double *score, double *deviation);
jem_status jem_eval_logits(jem_model *model, const jem_dataset *data, float *logits,
                           int64_t logits_capacity, int32_t *labels, int64_t labels_capacity);
jem_status jem_eval_score(jem_model *model, const char *score, const float *x, int64_t n,
                          int64_t first, const jem_config *config, float *scores);
jem_status jem_eval_score_data(jem_model *model, const char *score, const jem_dataset *data,
                               const jem_config *config, float *scores, int64_t capacity);
jem_status jem_eval_refined_logits(jem_model *model, const float *x, int64_t n, int64_t first,
                                   const jem_config *config, float *logits, int64_t capacity);
jem_status jem_eval_attack(jem_model *model, const float *x, const int32_t *y, int64_t n,
                           int64_t first, double eps, const jem_config *config, int32_t *robust,
                           float *adversarial);
jem_status jem_eval_attack_distance(jem_model *model, const float *x, const int32_t *y, int64_t n,
                                    int64_t first, double eps, const jem_config *config,
                                    float *distance, float *adversarial);
jem_status jem_model_calibrate(jem_model *model, const jem_dataset *validation,
                               const jem_config *config);
jem_status jem_loader_create(jem_loader **loader, jem_dataset *dataset, const jem_config *config);
void jem_loader_destroy(jem_loader *loader);
jem_status jem_loader_next(jem_loader *loader, float *x, int64_t x_capacity, int32_t *y,
                           int64_t y_capacity, int64_t *n);
jem_status jem_loader_tell(const jem_loader *loader, int64_t *position);
jem_status jem_loader_seek(jem_loader *loader, int64_t position);
jem_status jem_loss_cross_entropy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                  double weight, double *loss, float *dlogits);
jem_status jem_loss_energy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                           double weight, double *loss, float *dlogits);
jem_status jem_loss_energy_penalty(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                   double weight, double *loss, float *dlogits);
jem_status jem_model_create(jem_model **model, jem_context *context, const jem_config *config);
jem_status jem_model_load(jem_model **model, jem_context *context, const char *path);
jem_status jem_model_load_memory(jem_model **model, jem_context *context, const void *bytes,
                                 int64_t size);
jem_status jem_model_save(const jem_model *model, const char *path);
jem_status jem_model_save_memory(const jem_model *model, void *bytes, int64_t capacity,
                                 int64_t *size);
jem_status jem_model_clone(jem_model **copy, const jem_model *model);
void jem_model_destroy(jem_model *model);
jem_status jem_model_info(const jem_model *model, int64_t *channels, int64_t *height,
                          int64_t *width, int64_t *classes, int64_t *features);
jem_status jem_model_set_precision(jem_model *model, const char *precision);
jem_status jem_model_precision(const jem_model *model, const char **precision);
int64_t jem_model_class_name(const jem_model *model, int64_t k, char *buffer, int64_t capacity);
int64_t jem_model_metadata_get(const jem_model *model, const char *key, char *buffer,
                               int64_t capacity);
jem_status jem_model_metadata_set(jem_model *model, const char *key, const char *value);
int64_t jem_model_metadata_count(const jem_model *model);
int64_t jem_model_metadata_key(const jem_model *model, int64_t index, char *buffer,
                               int64_t capacity);
jem_status jem_model_logits(jem_model *model, const float *x, int64_t n, float *logits,
                            int64_t capacity);
jem_status jem_model_features(jem_model *model, const float *x, int64_t n, float *features,
                              int64_t capacity);
jem_status jem_model_energy(jem_model *model, const float *x, const int32_t *y, int64_t n,
                            float *energy);
jem_status jem_model_energy_gradient(jem_model *model, const float *x, const int32_t *y, int64_t n,
                                     float *energy, float *gradient);
jem_status jem_model_predict(jem_model *model, const float *x, int64_t n, int32_t *y,
                             float *probability, float *log_px, int32_t *accepted);
jem_status jem_model_prepare(const jem_model *model, const uint8_t *pixels, int64_t width,
                             int64_t height, int64_t stride, jem_pixel_format format,
                             int32_t resize, float *x, int64_t capacity);
int64_t jem_model_parameter_count(const jem_model *model);
jem_status jem_model_parameter_info(const jem_model *model, int64_t index, const char **name,
                                    int64_t *dimensions, int64_t *shape, int64_t *elements,
                                    jem_parameter_kind *kind);
int64_t jem_model_parameter_find(const jem_model *model, const char *name);
jem_status jem_model_parameter_get(const jem_model *model, int64_t index, float *values,
                                   int64_t elements);
jem_status jem_model_parameter_set(jem_model *model, int64_t index, const float *values,
                                   int64_t elements);
jem_status jem_model_parameter_map(jem_model *model, int64_t index, float **values);
jem_status jem_model_parameter_unmap(jem_model *model, int64_t index);
jem_status jem_model_gradient_get(const jem_model *model, int64_t index, float *values,
                                  int64_t elements);
jem_status jem_model_gradient_map(jem_model *model, int64_t index, float **values);
jem_status jem_model_gradient_zero(jem_model *model);
jem_status jem_network_create(jem_network **network, int64_t channels, int64_t height,
                              int64_t width);
void jem_network_destroy(jem_network *network);
int32_t jem_network_convolution(jem_network *network, int32_t in, const char *name,
                                int64_t channels, int64_t kernel, int64_t stride, int64_t pad);
int32_t jem_network_norm(jem_network *network, int32_t in, const char *name, const char *norm);
int32_t jem_network_activation(jem_network *network, int32_t in, const char *activation);
int32_t jem_network_dropout(jem_network *network, int32_t in, double probability);
int32_t jem_network_pool(jem_network *network, int32_t in, const char *pool, int64_t window,
                         int64_t stride, int64_t pad);
int32_t jem_network_mean(jem_network *network, int32_t in);
int32_t jem_network_linear(jem_network *network, int32_t in, const char *name, int64_t outputs);
int32_t jem_network_add(jem_network *network, int32_t a, int32_t b);
jem_status jem_network_status(const jem_network *network);
jem_status jem_network_shape(const jem_network *network, int32_t value, int64_t *channels,
                             int64_t *height, int64_t *width);
int64_t jem_network_text(const jem_network *network, char *buffer, int64_t capacity);
jem_status jem_model_create_network(jem_model **model, jem_context *context,
                                    const jem_network *network, const jem_config *config);
jem_status jem_optimizer_create(jem_optimizer **optimizer, jem_model *model,
                                const jem_config *config);
void jem_optimizer_destroy(jem_optimizer *optimizer);
jem_status jem_optimizer_set_rate(jem_optimizer *optimizer, double rate);
jem_status jem_optimizer_step(jem_optimizer *optimizer, double *norm);
jem_status jem_optimizer_ascend(jem_optimizer *optimizer);
jem_status jem_optimizer_restore(jem_optimizer *optimizer);
jem_status jem_pass_create(jem_pass **pass, jem_model *model, jem_pass_mode mode,
                           int64_t max_batch);
void jem_pass_destroy(jem_pass *pass);
jem_status jem_pass_set_stream(jem_pass *pass, int64_t stream, int64_t number);
jem_status jem_pass_hold_statistics(jem_pass *pass, int32_t hold);
jem_status jem_pass_forward(jem_pass *pass, const float *x, int64_t n, float *logits,
                            int64_t capacity);
jem_status jem_pass_backward(jem_pass *pass, const float *dlogits, jem_gradient what, float *dx);
jem_status jem_pass_energy(const jem_pass *pass, float *energy);
jem_status jem_pass_backward_energy(jem_pass *pass, const float *dlogits, const float *denergy,
                                    jem_gradient what, float *dx);
jem_status jem_sampler_create(jem_sampler **sampler, jem_model *model, const jem_config *config);
void jem_sampler_destroy(jem_sampler *sampler);
jem_status jem_sampler_set_data(jem_sampler *sampler, jem_dataset *data);
jem_status jem_sampler_draw(jem_sampler *sampler, const int32_t *y, int64_t n, float *x,
                            int64_t capacity);
jem_status jem_sampler_draw_starts(jem_sampler *sampler, const int32_t *y, int64_t n, int64_t first,
                                   float *x, int64_t capacity);
jem_status jem_sampler_step(jem_sampler *sampler, float *x, const int32_t *y, int64_t n,
                            int64_t first, int64_t step, int64_t steps);
jem_status jem_sampler_buffer_info(const jem_sampler *sampler, int64_t *slots);
jem_status jem_sampler_buffer_get(const jem_sampler *sampler, int64_t first, int64_t n, float *x,
                                  int64_t capacity);
jem_status jem_sampler_buffer_age(const jem_sampler *sampler, int64_t first, int64_t n,
                                  int64_t *age);
jem_status jem_sampler_buffer_set(jem_sampler *sampler, int64_t first, int64_t n, const float *x);
jem_status jem_sampler_buffer_load(jem_sampler *sampler, const char *path, int64_t *used);
jem_status jem_sampler_stats(const jem_sampler *sampler, double *distance, double *clamped,
                             double *age);
void jem_sampler_cancel(jem_sampler *sampler);
jem_status jem_model_starts_fit(jem_model *model, jem_dataset *data, const jem_config *config);
jem_status jem_model_starts_info(const jem_model *model, int64_t *rank, int64_t *bytes,
                                 double *explained);
jem_status jem_model_starts_remove(jem_model *model);
int64_t jem_last_error(char *buffer, int64_t capacity);
const char *jem_status_name(jem_status status);
const char *jem_version(void);
int32_t jem_abi_version(void);
int64_t jem_build_info(char *buffer, int64_t capacity);
jem_status jem_trainer_create(jem_trainer **trainer, jem_model *model, jem_dataset *data,
                              const jem_config *config);
void jem_trainer_destroy(jem_trainer *trainer);
jem_status jem_trainer_step(jem_trainer *trainer);
jem_status jem_trainer_run(jem_trainer *trainer, const jem_trainer_callbacks *callbacks);
void jem_trainer_cancel(jem_trainer *trainer);
jem_status jem_trainer_progress(const jem_trainer *trainer, int64_t *step, int64_t *iterations);
jem_status jem_trainer_rollbacks(const jem_trainer *trainer, int64_t *count, int64_t *from,
                                 int64_t *to);
int64_t jem_trainer_rollback_reason(const jem_trainer *trainer, char *buffer, int64_t capacity);
int64_t jem_trainer_metric_count(void);
const char *jem_trainer_metric_name(int64_t index);
jem_status jem_trainer_metrics(const jem_trainer *trainer, double *values, int64_t capacity);
jem_status jem_trainer_memory(jem_trainer *trainer, int64_t *bytes, int64_t *peak);
jem_status jem_trainer_sampler(jem_sampler **sampler, jem_trainer *trainer);
jem_status jem_trainer_model(jem_model **model, jem_trainer *trainer);
jem_status jem_trainer_ema_model(jem_model **model, const jem_trainer *trainer);
jem_status jem_trainer_best_model(jem_model **model, const jem_trainer *trainer, int64_t *step);
jem_status jem_trainer_save(const jem_trainer *trainer, const char *path);
jem_status jem_trainer_resume(jem_trainer *trainer, const char *path);
