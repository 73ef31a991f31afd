using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Graphs;

/// <summary>Ten steps down f(p) = ½ Σ a(p − t)²: the optimizer's graph, in single precision and in place, ≡ plain loops in double precision.</summary>
public sealed class QuadraticTests
{
    private const int Steps = 10;
    private const float LearningRate = 0.01f;

    /// <summary>Relative to the largest parameter, about 2: ten steps with some ten roundings of 2^-24 each, of values up to a hundredth of it.</summary>
    private const double Tolerance = 1e-6;

    private static readonly ImmutableArray<ParameterInfo> Parameters =
    [
        new("embed.weight", [5, 3], Decay: true),
        new("layers.0.wide.weight", [3, 7], Decay: true),
        new("layers.0.bias", [7], Decay: false),
        new("layers.1.tall.weight", [6, 4], Decay: true),
        new("norm.weight", [4], Decay: false),
        new("head.weight", [5, 4], Decay: true),
    ];

    public static TheoryData<OptimizerKind, bool, float, float> Cases
    {
        get
        {
            var cases = new TheoryData<OptimizerKind, bool, float, float>();
            foreach (var kind in Enum.GetValues<OptimizerKind>())
            {
                cases.Add(kind, true, 0, 1);
                cases.Add(kind, false, 0.5f, 0.8f);
            }
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Optimizer_TenStepsOfAQuadratic_EqualDoublePrecision(OptimizerKind kind, bool kernels, float clip, float layerDecay)
    {
        var settings = new OptimizerSettings { Kind = kind, ClipNorm = clip, LayerDecay = layerDecay, WeightDecay = 0.1f };
        var reference = new ReferenceOptimizer(settings, Parameters, layers: 2);
        using var run = new GraphRun(settings, kernels);
        double start = Loss(run.Values);
        for (int step = 1; step <= Steps; step++)
        {
            double norm = run.Step(Gradient(run.Values), step);
            Assert.InRange(norm / reference.Step(Gradient(reference.Values), LearningRate, step), 1 - 1e-5, 1 + 1e-5);
        }

        Assert.True(Loss(run.Values) < start);
        foreach (var (p, values) in reference.Values)
            for (int i = 0; i < values.Length; i++) Assert.InRange(run.Values[p][i] - values[i], -2 * Tolerance, 2 * Tolerance);
    }

    [Theory]
    [InlineData(OptimizerKind.Adam)]
    [InlineData(OptimizerKind.Momentum)]
    [InlineData(OptimizerKind.AdaGrad)]
    [InlineData(OptimizerKind.RmsProp)]
    [InlineData(OptimizerKind.Muon)]
    public void Optimizer_GivenAGradientThatIsNotFinite_ChangesNothing(OptimizerKind kind)
    {
        using var run = new GraphRun(new OptimizerSettings { Kind = kind }, kernels: true);
        run.Step(Gradient(run.Values), 1);
        double[][] before = run.State();
        var gradient = Gradient(run.Values);
        gradient[Parameters[1]][2] = double.NaN;
        Assert.True(double.IsNaN(run.Step(gradient, 2)));
        Assert.Equal(before, run.State());
    }

    [Fact]
    public void Muon_KeepsMomentum_ForTheMatricesOfBlocksAlone()
    {
        var names = OptimizerGraph.Create(Parameters, new OptimizerSettings { Kind = OptimizerKind.Muon }).Inputs.Select(i => i.Name!).ToHashSet();
        Assert.Equal(["layers.0.wide.weight", "layers.1.tall.weight"], Parameters.Where(p => names.Contains(p.MomentumBuffer)).Select(p => p.Name));
        Assert.Equal(Parameters.Where(p => names.Contains(p.FirstMoment)), Parameters.Where(p => !names.Contains(p.MomentumBuffer)));
    }

    /// <summary>a and t, different for every element; far enough from the start that no gradient is near zero.</summary>
    private static Dictionary<ParameterInfo, double[]> Gradient(Dictionary<ParameterInfo, double[]> values) =>
        values.ToDictionary(p => p.Key, p => p.Value.Select((x, i) => Curvature(i) * (x - Target(i))).ToArray());

    private static double Loss(Dictionary<ParameterInfo, double[]> values) =>
        values.Values.Sum(v => v.Select((x, i) => Curvature(i) * (x - Target(i)) * (x - Target(i)) / 2).Sum());

    private static double Curvature(int i) => 1 + 0.5 * Math.Sin(1 + 2.3 * i);

    private static double Target(int i) => i % 2 == 0 ? 2 : -2;

    internal static double Start(int i) => Math.Cos(1.7 * i);

    private sealed class GraphRun : IDisposable
    {
        private readonly OrtSession _session;
        private readonly BoundSession _bound;
        private readonly Dictionary<string, TensorBuffer> _buffers;
        private readonly TensorBuffer _norm = TensorBuffer.Zeros(ElementType.Float);

        public GraphRun(OptimizerSettings settings, bool kernels)
        {
            var graph = OptimizerGraph.Create(Parameters, settings);
            var pairs = graph.Outputs.Where(o => o.Name != OptimizerGraph.Norm).Select(o => (Input: o.Name[..^".out".Length], Output: o.Name)).ToList();
            InPlace.Require(graph, pairs);
            _session = new OrtSession(OnnxFile.ToBytes(graph), new SessionSettings { Threads = 1, Kernels = kernels });
            _bound = _session.Bind();
            _buffers = graph.Inputs.ToDictionary(i => i.Name!, i => TensorBuffer.Zeros(i.Type, i.Shape.ToArray()));
            foreach (var (name, buffer) in _buffers) _bound.Input(name, buffer);
            foreach (var (input, output) in pairs) _bound.Output(output, _buffers[input]);
            _bound.Output(OptimizerGraph.Norm, _norm);
            foreach (var p in Parameters)
                foreach (var (i, _) in _buffers[p.Name].Span<float>().ToArray().Index()) _buffers[p.Name].Span<float>()[i] = (float)Start(i);
        }

        public Dictionary<ParameterInfo, double[]> Values =>
            Parameters.ToDictionary(p => p, p => _buffers[p.Name].Span<float>().ToArray().Select(x => (double)x).ToArray());

        public double[][] State() =>
            [.. _buffers.Where(b => b.Value.Type == ElementType.Float && !b.Key.Contains("_grad", StringComparison.Ordinal)).Select(b => b.Value.Span<float>().ToArray().Select(x => (double)x).ToArray())];

        public double Step(Dictionary<ParameterInfo, double[]> gradient, long step)
        {
            foreach (var (p, values) in gradient) values.Select(x => (float)x).ToArray().CopyTo(_buffers[p.GradientBuffer].Span<float>());
            _buffers["learning_rate"].Span<float>()[0] = LearningRate;
            _buffers["step"].Span<long>()[0] = step;
            _bound.Run();
            return _norm.Span<float>()[0];
        }

        public void Dispose()
        {
            _bound.Dispose();
            _session.Dispose();
            _norm.Dispose();
            foreach (var buffer in _buffers.Values) buffer.Dispose();
        }
    }
}
