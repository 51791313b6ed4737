/* Numbers that programs have compiled in: they are pinned for good. */
#include <jem.h>

#define PINNED(name, value) _Static_assert((name) == (value), #name " has changed")

PINNED(JEM_ABI_VERSION, 1);
PINNED(JEM_OK, 0);
PINNED(JEM_CANCELLED, 1);
PINNED(JEM_END, 2);
PINNED(JEM_ROLLED_BACK, 3);
PINNED(JEM_ERROR_ARGUMENT, -1);
PINNED(JEM_ERROR_SHAPE, -2);
PINNED(JEM_ERROR_CONFIG, -3);
PINNED(JEM_ERROR_MEMORY, -4);
PINNED(JEM_ERROR_IO, -5);
PINNED(JEM_ERROR_FORMAT, -6);
PINNED(JEM_ERROR_STATE, -7);
PINNED(JEM_ERROR_BACKEND, -8);
PINNED(JEM_ERROR_DIVERGED, -9);
PINNED(JEM_ERROR_UNSUPPORTED, -10);
PINNED(JEM_ERROR_FORK, -11);
PINNED(JEM_LOG_WARNING, 1);
PINNED(JEM_LOG_INFO, 2);
PINNED(JEM_LOG_DEBUG, 3);
PINNED(JEM_KEY_I64, 1);
PINNED(JEM_KEY_F64, 2);
PINNED(JEM_KEY_STR, 3);
PINNED(JEM_TYPE_U8, 1);
PINNED(JEM_TYPE_F32, 2);
PINNED(JEM_TYPE_I32, 3);
PINNED(JEM_TYPE_I64, 4);
PINNED(JEM_TYPE_F64, 5);
PINNED(JEM_PIXEL_GREY8, 1);
PINNED(JEM_PIXEL_RGB8, 2);
PINNED(JEM_PIXEL_BGR8, 3);
PINNED(JEM_PIXEL_RGBA8, 4);
PINNED(JEM_PARAMETER_TRAINABLE, 1);
PINNED(JEM_PARAMETER_STATISTIC, 2);
PINNED(JEM_PASS_INFER, 1);
PINNED(JEM_PASS_INPUT_GRADIENT, 2);
PINNED(JEM_PASS_GRADIENT, 3);
PINNED(JEM_PASS_TRAIN, 4);
PINNED(JEM_PASS_TRAIN_INPUT, 5);
PINNED(JEM_PASS_HEAD, 6);
PINNED(JEM_GRADIENT_PARAMETERS, 1);
PINNED(JEM_GRADIENT_INPUT, 2);
PINNED(sizeof(jem_status), 4);
PINNED(sizeof(jem_type), 4);
PINNED(sizeof(jem_pass_mode), 4);
PINNED(sizeof(jem_gradient), 4);
PINNED(offsetof(jem_trainer_callbacks, struct_size), 0);
PINNED(offsetof(jem_trainer_callbacks, user), 8);
PINNED(offsetof(jem_trainer_callbacks, step), 16);
PINNED(offsetof(jem_trainer_callbacks, rollback), 24);
PINNED(sizeof(jem_trainer_callbacks), 32);
PINNED(offsetof(jem_allocator, struct_size), 0);
PINNED(offsetof(jem_allocator, user), 8);
PINNED(offsetof(jem_allocator, allocate), 16);
PINNED(offsetof(jem_allocator, release), 24);
PINNED(sizeof(jem_allocator), 32);
PINNED(offsetof(jem_log, struct_size), 0);
PINNED(offsetof(jem_log, user), 8);
PINNED(offsetof(jem_log, level), 16);
PINNED(offsetof(jem_log, write), 24);
PINNED(sizeof(jem_log), 32);
PINNED(offsetof(jem_dataset_callbacks, struct_size), 0);
PINNED(offsetof(jem_dataset_callbacks, user), 8);
PINNED(offsetof(jem_dataset_callbacks, read), 16);
PINNED(offsetof(jem_dataset_callbacks, release), 24);
PINNED(sizeof(jem_dataset_callbacks), 32);

int main(void)
{
    return 0;
}
