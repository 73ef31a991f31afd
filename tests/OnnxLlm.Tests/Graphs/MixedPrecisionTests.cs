using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

public sealed class MixedPrecisionTests
{
    private static readonly TrainingShape Shape = new(RecordedModel.Batch, RecordedModel.Time);

    [Theory]
    [InlineData("gpt2-tiny", Precision.Fp16)]
    [InlineData("llama-tiny", Precision.Bf16)]
    public void Products_ComputeIn16Bits_AndNothingDelicateDoes(string name, Precision precision)
    {
        var graph = Graphs(name, new() { Precision = precision }).Step;
        var type = MixedPrecision.TypeOf(precision);

        Assert.All(graph.Nodes.Where(n => n.Op == "Gemm"), n => Assert.All(n.Inputs.OfType<Value>().Append(n.Output), v => Assert.Equal(type, v.Type)));
        string[] others = [.. graph.Nodes.Where(n => n.Inputs.Concat(n.Outputs).Any(v => v?.Type == type)).Select(n => n.Op).Distinct()];
        Assert.Empty(others.Except(["Gemm", "Cast", "Reshape", "Split"]));
        Assert.All(graph.Inputs.Concat(graph.Outputs.Select(o => o.Value)), v => Assert.NotEqual(type, v.Type));
    }

    [Fact]
    public void Kept_NamesNormsAttentionLossAndUpdates()
    {
        var kept = MixedPrecision.Kept(Graphs("llama-tiny", new() { Precision = Precision.Fp16 }).Step).ToDictionary(k => k.Op, k => k.Count);
        Assert.Equal(1, kept["SoftmaxCrossEntropy"]);
        Assert.Equal(kept["RmsNorm"], kept["RmsNormGrad"]);
        Assert.All((string[])["CausalAttention", "CausalAttentionGrad", "SwiGlu", "Accumulate"], op => Assert.Contains(op, kept.Keys));
        Assert.DoesNotContain("Gemm", kept.Keys);
        Assert.DoesNotContain("MatrixProduct", MixedPrecision.Kept(Graphs("llama-tiny", new() { Precision = Precision.Fp16, Rounded = true }).Step).Select(k => k.Op));
    }

    [Fact]
    public void Graph_InSinglePrecision_IsUntouched()
    {
        var graph = Graphs("llama-tiny", new()).Step;
        Assert.Same(graph, MixedPrecision.Apply(graph, Precision.Fp32));
    }

    /// <summary>A weight that several products read is cast once, and the recomputation reads the same cast.</summary>
    [Fact]
    public void Values_AreCastOnce()
    {
        var graph = Graphs("gpt2-tiny", new() { Precision = Precision.Bf16, Checkpointing = ActivationCheckpointing.Block }).Step;
        Assert.All(graph.Nodes.Where(n => n.Op == "Cast").CountBy(n => (n[0], n.Output.Type)), group => Assert.Equal(1, group.Value));
    }

    /// <summary>
    /// Relative to the largest gradient of a tensor: each rounding is off by 2^-12 (float16) or 2^-9 (bfloat16) of its value, and some twenty of them
    /// follow each other in the two layers of these models.
    /// </summary>
    [Theory]
    [InlineData("gpt2-tiny", Precision.Fp16, true, 0.01)]
    [InlineData("llama-tiny", Precision.Fp16, true, 0.01)]
    [InlineData("llama-tiny", Precision.Fp16, false, 0.01)]
    [InlineData("gpt2-tiny", Precision.Bf16, true, 0.08)]
    [InlineData("llama-tiny", Precision.Bf16, true, 0.08)]
    public void Gradients_DifferByRounding(string name, Precision precision, bool rounded, double tolerance)
    {
        using var model = new RecordedModel(name);
        using var single = new TrainingRun(model.Config, Shape);
        using var mixed = new TrainingRun(model.Config, Shape, step: new StepSettings { Precision = precision, Rounded = rounded });
        single.Load(model);
        mixed.Load(model);

        float loss = single.Step(model.InputIds, model.Labels, model.LossScale), rough = mixed.Step(model.InputIds, model.Labels, model.LossScale);

        Assert.NotEqual(loss, rough);
        Closeness.AssertClose([rough], [loss], tolerance, "loss");
        foreach (var p in single.Graphs.Parameters) Closeness.AssertClose(mixed[p.GradientBuffer], single[p.GradientBuffer], tolerance, p.Name);
    }

    /// <summary>Why bfloat16 rounds on the CPU. When this fails, the runtime has learnt it and the products should use it.</summary>
    [Fact]
    public void Runtime_HasNoBfloat16Products_OnTheCpu()
    {
        var graph = Graphs("llama-tiny", new() { Precision = Precision.Bf16 }).Step;
        var e = Assert.Throws<ModelRuntimeException>(() => new OrtSession(OnnxFile.ToBytes(graph), new SessionSettings { Threads = 1 }));
        Assert.Contains("Could not find an implementation for Gemm", e.Message, StringComparison.Ordinal);
    }

    /// <summary>The optimizer undoes the factor of the gradients before it clips and decays.</summary>
    [Fact]
    public void LossScale_ChangesNoBitOfAnUpdate()
    {
        using var model = new RecordedModel("llama-tiny");
        using var plain = new TrainingRun(model.Config, Shape, new OptimizerSettings { ClipNorm = 0.5f }, step: new StepSettings { Precision = Precision.Bf16, Rounded = true });
        using var scaled = new TrainingRun(model.Config, Shape, new OptimizerSettings { ClipNorm = 0.5f }, step: new StepSettings { Precision = Precision.Fp16, Rounded = true });
        plain.Load(model);
        scaled.Load(model);
        plain.Step(model.InputIds, model.Labels, model.LossScale);
        foreach (var p in plain.Graphs.Parameters)
            foreach (var (i, gradient) in plain[p.GradientBuffer].ToArray().Index()) scaled[p.GradientBuffer][i] = gradient * 1024;
        scaled["inverse_loss_scale"][0] = 1f / 1024;

        Assert.Equal(plain.Optimize(1e-2f, 1), scaled.Optimize(1e-2f, 1), 1e-6f);
        foreach (var p in plain.Graphs.Parameters) Closeness.AssertClose(scaled[p.Name], plain[p.Name], 1e-6, p.Name);
    }

    private static TrainingGraphs Graphs(string name, StepSettings step)
    {
        using var model = new RecordedModel(name);
        return TrainingGraphs.Create(model.Config, Shape, new(), step);
    }
}
