using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// Tiny models against values recorded with PyTorch in double precision. An element of ours is the end of a chain of a few hundred float32 additions
/// and multiplications, each with a relative error of at most 2^-24 = 6e-8, so errors up to 300 · 6e-8 = 2e-5 of a tensor's largest element are arithmetic.
/// </summary>
public sealed class ModelParityTests
{
    private const double Arithmetic = 2e-5;

    /// <summary>
    /// AdamW divides a gradient by its own size. An element a thousand times smaller than the largest of its tensor carries a relative error a thousand
    /// times larger, 2 %, into an update of the learning rate's size, 1e-3, in each of at most five steps.
    /// </summary>
    private const double AfterSteps = 1e-4;

    private static readonly TrainingShape Shape = new(RecordedModel.Batch, RecordedModel.Time);

    [Theory]
    [MemberData(nameof(RecordedModel.NamesAndKernels), MemberType = typeof(RecordedModel))]
    public void Logits_OfRecordedModel_EqualPyTorch(string name, bool kernels)
    {
        using var model = new RecordedModel(name);
        Closeness.AssertClose(TrainingLogits.Of(TinyModel.Named(name), model.InputIds, Shape, kernels), model.Reference("logits"), Arithmetic, "logits");
    }

    [Theory]
    [MemberData(nameof(RecordedModel.NamesAndKernels), MemberType = typeof(RecordedModel))]
    public void LossAndEveryGradient_OfRecordedModel_EqualPyTorch(string name, bool kernels)
    {
        using var model = new RecordedModel(name);
        using var run = new TrainingRun(model.Config, Shape, kernels: kernels);
        run.Load(model);

        float loss = run.Step(model.InputIds, model.Labels, model.LossScale);

        Closeness.AssertClose([loss], model.Reference("loss"), Arithmetic, "loss");
        Assert.Equal(model.Parameters.Select(p => p.Name).Order(), run.Graphs.Parameters.Select(p => p.Name).Order());
        foreach (var p in run.Graphs.Parameters)
            Closeness.AssertClose(run[p.GradientBuffer], model.Reference($"gradient.{p.Name}"), Arithmetic, $"gradient of {p.Name}");
    }

    [Theory]
    [MemberData(nameof(RecordedModel.NamesAndKernels), MemberType = typeof(RecordedModel))]
    public void FiveAdamWSteps_OfRecordedModel_EqualPyTorch(string name, bool kernels)
    {
        using var model = new RecordedModel(name);
        using var run = new TrainingRun(model.Config, Shape, new OptimizerSettings { Beta2 = 0.95f, WeightDecay = 0.1f, ClipNorm = 1 }, kernels);
        run.Load(model);

        float[] losses = new float[5], norms = new float[5];
        for (int step = 1; step <= 5; step++)
        {
            losses[step - 1] = run.Step(model.InputIds, model.Labels, model.LossScale);
            norms[step - 1] = run.Optimize(1e-3f, step);
            if (step is 1 or 5) AssertParameters(run, model, step);
        }
        Closeness.AssertClose(losses, model.Reference("losses"), AfterSteps, "losses");
        Closeness.AssertClose(norms, model.Reference("gradient_norms"), AfterSteps, "gradient norms");
    }

    [Theory]
    [MemberData(nameof(RecordedModel.NamesAndKernels), MemberType = typeof(RecordedModel))]
    public void TokenLosses_OfRecordedModel_AverageToPyTorchsLoss(string name, bool kernels)
    {
        using var model = new RecordedModel(name);
        using var run = new TrainingRun(model.Config, Shape, kernels: kernels);
        run.Load(model);

        float[] losses = run.TokenLosses(model.InputIds, model.Labels);

        Closeness.AssertClose([losses.Sum() * model.LossScale], model.Reference("loss"), Arithmetic, "mean loss");
        Assert.All(model.Labels.Zip(losses).Where(p => p.First == -100), p => Assert.Equal(0, p.Second));
    }

    private static void AssertParameters(TrainingRun run, RecordedModel model, int step)
    {
        foreach (var p in run.Graphs.Parameters)
        {
            var (actual, expected) = (run[p.Name].ToArray(), model.Reference($"step{step}.{p.Name}"));
            float[] gradient = model.Reference($"gradient.{p.Name}");
            var compared = Enumerable.Range(0, actual.Length).Where(i => !IsKeyBias(p.Name, i, actual.Length) && !IsNearEpsilon(gradient[i])).ToArray();
            Closeness.AssertClose(
                Array.ConvertAll(compared, i => actual[i]), Array.ConvertAll(compared, i => expected[i]), AfterSteps, $"{p.Name} after step {step}");
        }
    }

    /// <summary>
    /// AdamW moves by m/(√v + 1e-8): where the gradient, here before it is clipped to about a seventh, is nearly as small as that, rounding decides how far.
    /// </summary>
    private static bool IsNearEpsilon(float gradient) => gradient != 0 && Math.Abs(gradient) < 1e-6f;

    /// <summary>The gradient of a key bias is zero, softmax does not see it: in float32 it is noise, which AdamW scales up to the learning rate.</summary>
    private static bool IsKeyBias(string name, int i, int count) =>
        name.EndsWith("k_proj.bias", StringComparison.Ordinal)
        || (name.EndsWith("c_attn.bias", StringComparison.Ordinal) && i >= count / 3 && i < 2 * count / 3);
}
