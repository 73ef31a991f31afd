using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Graphs;

/// <summary>One update in the graph ≡ the formula in double precision, with kernels and with bodies, in place.</summary>
public sealed class OptimizerTests
{
    private const double Tolerance = 1e-6; // about ten roundings of 2^-24; every term below is positive, so nothing cancels
    private const int Count = 77;
    private const float LearningRate = 0.01f;
    private static readonly AdamWConstants Constants = new(Beta1: 0.9f, Beta2: 0.999f, Epsilon: 1e-8f, WeightDecay: 0.1f);

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 2)]
    [InlineData(true, 1000)]
    [InlineData(false, 1)]
    [InlineData(false, 2)]
    [InlineData(false, 1000)]
    public void AdamW_OneStep_EqualsDoublePrecision(bool kernels, long step)
    {
        using var run = new Run(AdamWGraph(), kernels, "parameter", "m", "v");
        double[] p = run.Doubles("parameter"), g = run.Doubles("gradient"), m = run.Doubles("m"), v = run.Doubles("v");
        run.Step(scale: 0.5f, step);

        for (int i = 0; i < Count; i++)
        {
            double gradient = g[i] * 0.5, beta1 = Constants.Beta1, beta2 = Constants.Beta2;
            double newM = beta1 * m[i] + (1 - beta1) * gradient, newV = beta2 * v[i] + (1 - beta2) * gradient * gradient;
            double root = Math.Sqrt(newV / (1 - Math.Pow(beta2, step))) + Constants.Epsilon;
            double decayed = p[i] - (double)LearningRate * Constants.WeightDecay * p[i];
            Near(decayed - (double)LearningRate * (newM / (1 - Math.Pow(beta1, step))) / root, run.Doubles("parameter")[i]);
            Near(newM, run.Doubles("m")[i]);
            Near(newV, run.Doubles("v")[i]);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Sgd_OneStep_EqualsDoublePrecision(bool kernels)
    {
        using var run = new Run(SgdGraph(), kernels, "parameter");
        double[] p = run.Doubles("parameter"), g = run.Doubles("gradient");
        run.Step(scale: 0.5f, step: 1);
        for (int i = 0; i < Count; i++)
            Near(p[i] - (double)LearningRate * (0.5 * g[i] + (double)Constants.WeightDecay * p[i]), run.Doubles("parameter")[i]);
    }

    [Theory]
    [InlineData(true, float.NaN)]
    [InlineData(true, float.PositiveInfinity)]
    [InlineData(false, float.NaN)]
    [InlineData(false, float.NegativeInfinity)]
    public void AdamW_ScaleNotFinite_ChangesNothing(bool kernels, float scale)
    {
        using var run = new Run(AdamWGraph(), kernels, "parameter", "m", "v");
        double[][] before = [run.Doubles("parameter"), run.Doubles("m"), run.Doubles("v")];
        run.Buffer("gradient").Span<float>().Fill(float.NaN);
        run.Step(scale, step: 1);
        Assert.Equal(before, [run.Doubles("parameter"), run.Doubles("m"), run.Doubles("v")]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Accumulate_ResetThenAdd_InPlace(bool kernels)
    {
        var g = new GraphBuilder();
        Value Tensor(string name) => g.Input(name, ElementType.Float, [Count]);
        g.Output("new_buffer", g.Accumulate(Tensor("buffer"), Tensor("gradient"), g.Input("reset", ElementType.Bool, [1])));
        using var run = new Run(g.Build(), kernels, "buffer");
        run.Buffer("buffer").Span<float>().Fill(float.NaN);
        run.Buffer("reset").Span<bool>()[0] = true;
        run.Step(1, 1);
        Assert.Equal(run.Doubles("gradient"), run.Doubles("buffer"));
        run.Buffer("reset").Span<bool>()[0] = false;
        run.Step(1, 1);
        Assert.Equal(run.Doubles("gradient").Select(x => 2 * x), run.Doubles("buffer"));
    }

    [Theory]
    [InlineData(0.9f, 1)]
    [InlineData(0.999f, 1)]
    [InlineData(0.999f, 123456)]
    public void BiasCorrection_IsRoundedOnce(float beta, long step)
    {
        var g = new GraphBuilder();
        g.Output("bias", g.BiasCorrection(g.Input("step", ElementType.Int64, []), beta));
        using var session = new OrtSession(OnnxFile.ToBytes(g.Build()), new SessionSettings { Threads = 1 });
        using var input = TensorBuffer.Of([step]);
        using TensorBuffer bias = session.Run(new Dictionary<string, TensorBuffer> { ["step"] = input })["bias"];
        Assert.Equal((float)(1 - Math.Pow(beta, step)), bias.Span<float>()[0]);
    }

    private static void Near(double expected, double actual) => Assert.True(Math.Abs(actual - expected) <= Tolerance * Math.Abs(expected), $"{actual} is not {expected}");

    private static Graph AdamWGraph()
    {
        var g = new GraphBuilder();
        Value Tensor(string name) => g.Input(name, ElementType.Float, [Count]);
        Value Scalar(string name) => g.Input(name, ElementType.Float, []);
        var state = new AdamWState(Tensor("parameter"), Tensor("m"), Tensor("v"));
        Value step = g.Input("step", ElementType.Int64, []);
        var scalars = new AdamWStep(
            Scalar("learning_rate"), Scalar("scale"), g.BiasCorrection(step, Constants.Beta1), g.BiasCorrection(step, Constants.Beta2));
        var updated = g.AdamW(state, Tensor("gradient"), scalars, Constants);
        g.Output("new_parameter", updated.Parameter);
        g.Output("new_m", updated.FirstMoment);
        g.Output("new_v", updated.SecondMoment);
        return g.Build();
    }

    private static Graph SgdGraph()
    {
        var g = new GraphBuilder();
        Value Tensor(string name) => g.Input(name, ElementType.Float, [Count]);
        Value Scalar(string name) => g.Input(name, ElementType.Float, []);
        g.Output("new_parameter", g.Sgd(Tensor("parameter"), Tensor("gradient"), Scalar("learning_rate"), Scalar("scale"), Constants.WeightDecay));
        return g.Build();
    }

    /// <summary>A session whose state tensors are input and output at once.</summary>
    private sealed class Run : IDisposable
    {
        private readonly OrtSession _session;
        private readonly BoundSession _bound;
        private readonly Dictionary<string, TensorBuffer> _buffers;

        internal Run(Graph graph, bool kernels, params string[] state)
        {
            var noise = new Random(5);
            _session = new OrtSession(OnnxFile.ToBytes(graph), new SessionSettings { Threads = 2, Kernels = kernels });
            _bound = _session.Bind();
            _buffers = graph.Inputs.ToDictionary(i => i.Name!, i => TensorBuffer.Zeros(i.Type, i.Shape.ToArray()));
            foreach (var (name, buffer) in _buffers)
            {
                if (buffer.Type == ElementType.Float)
                    foreach (ref float x in buffer.Span<float>()) x = 0.5f + noise.NextSingle();
                _bound.Input(name, buffer);
            }
            foreach (string name in state) _bound.Output($"new_{name}", _buffers[name]);
        }

        public void Dispose()
        {
            _bound.Dispose();
            _session.Dispose();
            foreach (var buffer in _buffers.Values) buffer.Dispose();
        }

        internal TensorBuffer Buffer(string name) => _buffers[name];

        internal double[] Doubles(string name) => [.. _buffers[name].Span<float>().ToArray().Select(x => (double)x)];

        internal void Step(float scale, long step)
        {
            if (_buffers.TryGetValue("learning_rate", out var rate)) rate.Span<float>()[0] = LearningRate;
            if (_buffers.TryGetValue("scale", out var scaling)) scaling.Span<float>()[0] = scale;
            if (_buffers.TryGetValue("step", out var number)) number.Span<long>()[0] = step;
            _bound.Run();
        }
    }
}
