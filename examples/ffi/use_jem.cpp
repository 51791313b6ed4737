// libjem from C++17: handles as unique_ptr, statuses as exceptions, arrays as vectors.
//
// usage: use_jem MODEL.safetensors
// build: c++ -std=c++17 use_jem.cpp $(pkg-config --cflags --libs jem) -o use_jem
//
// Scores, samples, trains with a loss of its own on the logits, runs the trainer with a
// callback that stops it, reads an error's text.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <jem.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace jem
{

jem_status check(jem_status status)
{
    if (status >= 0) return status;
    std::string text(static_cast<std::size_t>(jem_last_error(nullptr, 0)) + 1, '\0');
    jem_last_error(text.data(), static_cast<std::int64_t>(text.size()));
    text.pop_back();
    throw std::runtime_error(jem_status_name(status) + (": " + text));
}

template <class T, void (*Destroy)(T *)> struct Delete {
    void operator()(T *handle) const { Destroy(handle); }
};
template <class T, void (*Destroy)(T *)> using Handle = std::unique_ptr<T, Delete<T, Destroy>>;

using Config = Handle<jem_config, jem_config_destroy>;
using Context = Handle<jem_context, jem_context_destroy>;
using Model = Handle<jem_model, jem_model_destroy>;
using Dataset = Handle<jem_dataset, jem_dataset_destroy>;
using Loader = Handle<jem_loader, jem_loader_destroy>;
using Sampler = Handle<jem_sampler, jem_sampler_destroy>;
using Pass = Handle<jem_pass, jem_pass_destroy>;
using Optimizer = Handle<jem_optimizer, jem_optimizer_destroy>;
using Trainer = Handle<jem_trainer, jem_trainer_destroy>;

// make<Model>(jem_model_load, context.get(), path)
template <class Made, class Create, class... Arguments>
Made make(Create create, Arguments... arguments)
{
    typename Made::pointer handle = nullptr;
    check(create(&handle, arguments...));
    return Made(handle);
}

// Any callable as the trainer's callback. An exception must not cross C: it is kept,
// stops the run, and is thrown again behind it.
jem_status run(jem_trainer *trainer, std::function<bool(std::int64_t)> stop)
{
    struct State {
        std::function<bool(std::int64_t)> stop;
        std::exception_ptr thrown;
    } state{std::move(stop), nullptr};
    jem_trainer_callbacks callbacks{};
    callbacks.struct_size = sizeof callbacks;
    callbacks.user = &state;
    callbacks.step = [](void *user, jem_trainer *, std::int64_t step) -> std::int32_t {
        auto *own = static_cast<State *>(user);
        try {
            return own->stop(step);
        } catch (...) {
            own->thrown = std::current_exception();
            return 1;
        }
    };
    jem_status status = check(jem_trainer_run(trainer, &callbacks));
    if (state.thrown) std::rethrow_exception(state.thrown);
    return status;
}

} // namespace jem

// Cross-entropy of logits [n,k] as a loss of one's own: its value, and its derivative.
static double cross_entropy(const std::vector<float> &logits, const std::vector<std::int32_t> &y,
                            std::vector<float> &derivative)
{
    const std::size_t n = y.size(), k = logits.size() / n;
    double loss = 0;
    for (std::size_t i = 0; i < n; i++) {
        const float *row = logits.data() + i * k, most = *std::max_element(row, row + k);
        double sum = 0;
        for (std::size_t j = 0; j < k; j++) sum += std::exp(row[j] - most);
        for (std::size_t j = 0; j < k; j++)
            derivative[i * k + j] = static_cast<float>(
                (std::exp(row[j] - most) / sum - (static_cast<std::int32_t>(j) == y[i])) /
                double(n));
        loss += std::log(sum) + most - row[y[i]];
    }
    return loss / double(n);
}

template <class T> static std::int64_t size(const std::vector<T> &array)
{
    return std::int64_t(array.size());
}

static void use(const char *path)
{
    using namespace jem;
    auto settings = make<Config>(jem_config_create);
    check(jem_config_parse(settings.get(), "loader.batch=16 sampler.steps=2 sampler.buffer=64 "
                                           "optimizer.rate=1e-4 trainer.iterations=100"));
    auto context = make<Context>(jem_context_create, settings.get());
    auto model = make<Model>(jem_model_load, context.get(), path);
    auto data = make<Dataset>(jem_dataset_open, context.get(), "glyphs:limit=200,split=test",
                              settings.get());
    context.reset(); // the library keeps what its children need
    std::int64_t c, h, w, k, n = 16, got;
    check(jem_model_info(model.get(), &c, &h, &w, &k, nullptr));

    std::vector<float> x(std::size_t(n * c * h * w)), logits(std::size_t(n * k)), d(logits.size());
    std::vector<std::int32_t> y(std::size_t(n), 0);
    check(jem_dataset_read(data.get(), 0, n, x.data(), size(x), y.data()));
    check(jem_model_logits(model.get(), x.data(), n, logits.data(), size(logits)));
    std::printf("loss of %d digits %.4f\n", int(n), cross_entropy(logits, y, d));
    auto sampler = make<Sampler>(jem_sampler_create, model.get(), settings.get());
    check(jem_sampler_draw(sampler.get(), nullptr, 4, x.data(), size(x)));

    auto loader = make<Loader>(jem_loader_create, data.get(), settings.get());
    auto optimizer = make<Optimizer>(jem_optimizer_create, model.get(), settings.get());
    auto pass = make<Pass>(jem_pass_create, model.get(), JEM_PASS_TRAIN, n);
    for (int step = 0; step < 2; step++) {
        check(jem_loader_next(loader.get(), x.data(), size(x), y.data(), size(y), &got));
        check(jem_pass_forward(pass.get(), x.data(), n, logits.data(), size(logits)));
        std::printf("step %d: loss %.4f\n", step, cross_entropy(logits, y, d));
        check(jem_model_gradient_zero(model.get()));
        check(jem_pass_backward(pass.get(), d.data(), JEM_GRADIENT_PARAMETERS, nullptr));
        check(jem_optimizer_step(optimizer.get(), nullptr));
    }
    auto trainer = make<Trainer>(jem_trainer_create, model.get(), data.get(), settings.get());
    if (run(trainer.get(), [](std::int64_t step) { return step == 2; }) == JEM_CANCELLED)
        std::puts("trainer: stopped after step 2");
    try {
        x[0] = 255;
        check(jem_model_logits(model.get(), x.data(), 1, logits.data(), k));
    } catch (const std::runtime_error &error) {
        std::puts(error.what());
    }
}

int main(int argc, char **argv)
{
    try {
        argc == 2 ? use(argv[1]) : throw std::runtime_error("usage: use_jem MODEL.safetensors");
    } catch (const std::exception &error) {
        return std::fprintf(stderr, "%s\n", error.what()), 1;
    }
}
