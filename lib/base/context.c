#include "base/context.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"

jem_status jem_context_create(jem_context **context, const jem_config *config)
{
    jem_context *fresh = NULL;
    JEM__REQUIRE(context, "jem_context_create");
    *context = NULL;
    JEM__TRY(jem__calloc(&fresh, 1, sizeof *fresh));
    jem__count_init(&fresh->count);
    jem_status status = jem__pool_create(&fresh->pool, jem__config_i64(config, "context.threads"));
    if (status) {
        jem__free(fresh);
        return status;
    }
    *context = fresh;
    return JEM_OK;
}

void jem_context_destroy(jem_context *context)
{
    if (!context || !jem__count_drop(&context->count)) return;
    jem__pool_destroy(context->pool);
    jem__free(context);
}

jem_status jem_context_threads(const jem_context *context, int64_t *threads)
{
    JEM__REQUIRE(context, "jem_context_threads");
    JEM__REQUIRE(threads, "jem_context_threads");
    *threads = jem__pool_threads(context->pool);
    return JEM_OK;
}
