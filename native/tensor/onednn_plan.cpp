#include "onednn_plan.h"

#include <cstdlib>
#include <map>
#include <new>
#include <utility>

#include "threads.h"

namespace nodule::tensor {

using dnnl::memory;

namespace {

dnnl::stream& Stream() {
  static dnnl::stream stream(OnednnEngine());
  return stream;
}

bool use_bfloat16 = false;

// Memory that all primitives share one after another: reordered operands and oneDNN's own scratch.
class Arena {
 public:
  void Reserve(size_t bytes) {
    if (bytes <= size_) return;
    data_.reset();
    size_ = (bytes + (bytes >> 3) + 4095) & ~size_t{4095};
    data_.reset(static_cast<uint8_t*>(std::aligned_alloc(4096, size_)));
    if (data_ == nullptr) {
      size_ = 0;
      throw std::bad_alloc();
    }
  }
  uint8_t* At(size_t offset) { return data_.get() + offset; }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t size_ = 0;
};
Arena arena;

size_t Aligned(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

using FullKey = std::pair<PlanKey, std::pair<int, bool>>;
std::map<FullKey, std::unique_ptr<Plan>> plans;

}  // namespace

const dnnl::engine& OnednnEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::primitive_attr PlanAttributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

memory::desc Desc(const memory::dims& dims, memory::format_tag tag, memory::data_type type) {
  return memory::desc(dims, type, tag);
}

Plan::Plan(dnnl::primitive primitive, const memory::desc& scratch, std::string description,
           bool slow)
    : primitive_(std::move(primitive)), description_(std::move(description)), slow_(slow) {
  if (scratch.get_size() == 0) return;
  scratch_ = memory(scratch, OnednnEngine(), nullptr);
  arguments_.emplace(DNNL_ARG_SCRATCHPAD, scratch_);
  arena_bytes_ = Aligned(scratch.get_size());
}

void Plan::Add(int argument, const memory::desc& user, const memory::desc& inner, bool output) {
  Operand o{
      memory(user, OnednnEngine(), nullptr), {}, {}, argument, user != inner, output, arena_bytes_};
  if (o.reordered) {
    o.inner = memory(inner, OnednnEngine(), nullptr);
    o.reorder = output ? dnnl::reorder(o.inner, o.user) : dnnl::reorder(o.user, o.inner);
    arena_bytes_ += Aligned(inner.get_size());
  }
  arguments_.emplace(argument, o.reordered ? o.inner : o.user);
  operands_.push_back(o);
}

void Plan::Run(const std::array<const float*, 4>& pointers) {
  arena.Reserve(arena_bytes_);
  if (scratch_) scratch_.set_data_handle(arena.At(0));
  for (size_t i = 0; i < operands_.size(); ++i) {
    Operand& o = operands_[i];
    o.user.set_data_handle(const_cast<float*>(pointers[i]));
    if (!o.reordered) continue;
    o.inner.set_data_handle(arena.At(o.offset));
    if (!o.output) o.reorder.execute(Stream(), o.user, o.inner);
  }
  primitive_.execute(Stream(), arguments_);
  for (Operand& o : operands_)
    if (o.reordered && o.output) o.reorder.execute(Stream(), o.inner, o.user);
  Stream().wait();
}

void Plan::Execute(void* const* inner, uint8_t* scratch) const {
  thread_local dnnl::stream stream(OnednnEngine());
  std::unordered_map<int, memory> arguments;
  for (size_t i = 0; i < operands_.size(); ++i)
    arguments.emplace(operands_[i].argument,
                      memory(InnerDesc(static_cast<int>(i)), OnednnEngine(), inner[i]));
  if (scratch_)
    arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(scratch_.get_desc(), OnednnEngine(), scratch));
  primitive_.execute(stream, arguments);
  stream.wait();
}

memory::desc Plan::InnerDesc(int operand) const {
  const Operand& o = operands_[operand];
  return o.reordered ? o.inner.get_desc() : o.user.get_desc();
}

void Plan::Reorder(int operand, void* user, void* inner) const {
  thread_local dnnl::stream stream(OnednnEngine());
  const Operand& o = operands_[operand];
  memory ours(o.user.get_desc(), OnednnEngine(), user);
  memory theirs(o.inner.get_desc(), OnednnEngine(), inner);
  if (o.output) {
    o.reorder.execute(stream, theirs, ours);
  } else {
    o.reorder.execute(stream, ours, theirs);
  }
  stream.wait();
}

std::string Plan::Describe() const {
  size_t reorders = 0;
  for (const Operand& o : operands_) reorders += o.reordered;
  return description_ + " reorders " + std::to_string(reorders);
}

namespace {

// Shapes of a training run are few; a caller with endless shapes must not grow the cache without bound.
constexpr size_t kMostPlans = 2048;

Plan& Find(const PlanKey& key, int threads, const std::function<std::unique_ptr<Plan>()>& make) {
  const FullKey full{key, {threads, use_bfloat16}};
  const auto found = plans.find(full);
  if (found != plans.end()) return *found->second;
  if (plans.size() >= kMostPlans) plans.clear();
  return *(plans[full] = make());
}

}  // namespace

Plan& FindPlan(const PlanKey& key, const std::function<std::unique_ptr<Plan>()>& make) {
  return Find(key, ThreadCount(), make);
}

Plan& FindSerialPlan(const PlanKey& key, const std::function<std::unique_ptr<Plan>()>& make) {
  return Find(key, 1, [&] {
    const OneThread one;
    return make();
  });
}

void MakeRoomForPlans(size_t count) {
  if (plans.size() + count >= kMostPlans) plans.clear();
}

uint8_t* ReserveArena(size_t bytes) {
  arena.Reserve(bytes);
  return arena.At(0);
}

bool HasBfloat16() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool Bfloat16() { return use_bfloat16; }

bool SetBfloat16(bool on) { return use_bfloat16 = on && HasBfloat16(); }

memory::data_type ComputeType() {
  return use_bfloat16 ? memory::data_type::bf16 : memory::data_type::f32;
}

std::string OnednnVersion() {
  const dnnl_version_t* v = dnnl_version();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::string DescribePrimitives() {
  std::string text;
  for (const auto& [key, plan] : plans)
    if (plan != nullptr) text += plan->Describe() + "\n";
  return text;
}

}  // namespace nodule::tensor
