using OnnxLlm.Graphs.Functions;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

/// <summary>AdamW with moments of 8 bits against the same update with moments in double precision that are never rounded.</summary>
public sealed class QuantizedAdamWTests
{
    private const int Block = QuantizedAdamW.Block, Blocks = 600, Count = Blocks * Block;   // three parts, the last one short
    private const float Rate = 0.01f, Decay = 0.1f, Beta1 = 0.9f, Beta2 = 0.95f;

    public static TheoryData<string> Widths => KernelHarness.Widths;

    /// <summary>Each block has gradients of another size, and each element of one: the update is computed before anything is rounded, so a first step is exact.</summary>
    [Theory]
    [MemberData(nameof(Widths))]
    public void FirstStep_FromNothing_IsThatOfAdamW(string width)
    {
        var state = new State();
        float[] gradient = Gradient(1);
        State next = state.Step(width, gradient, 1);
        for (int i = 0; i < Count; i++)
        {
            double expected = state.Parameter[i] * (1 - (double)Rate * Decay) - (double)Rate * gradient[i] / (Math.Abs(gradient[i]) + 1e-8);
            Assert.Equal(expected, next.Parameter[i], 2e-6);    // some ten roundings of numbers up to 4
        }
    }

    /// <summary>What is stored is at most one step of its code from what was computed: y = √(x/scale) in steps of 1/127 and 1/255.</summary>
    [Theory]
    [MemberData(nameof(Widths))]
    public void Moments_Stored_AreNextToTheTrueOnes(string width)
    {
        float[] gradient = Gradient(1);
        State next = new State().Step(width, gradient, 1);
        for (int block = 0; block < Blocks; block++)
        {
            double[] first = [.. gradient.Skip(block * Block).Take(Block).Select(g => g * (1 - (double)Beta1))];
            double[] roots = [.. gradient.Skip(block * Block).Take(Block).Select(g => Math.Abs(g) * Math.Sqrt(1 - (double)Beta2))];
            Assert.Equal(first.Max(Math.Abs), next.FirstScale[block], next.FirstScale[block] * 1e-6);
            Assert.Equal(roots.Max(), next.SecondScale[block], next.SecondScale[block] * 1e-6);
            for (int i = 0; i < Block; i++)
            {
                double code = next.First[block * Block + i], place = Math.Sqrt(Math.Abs(first[i]) / next.FirstScale[block]) * 127;
                Assert.InRange(Math.Abs(code) - place, -1, 1.0001);
                Assert.True(code == 0 || Math.Sign(code) == Math.Sign(first[i]));
                code = next.Second[block * Block + i] + 128;
                Assert.InRange(code - Math.Sqrt(roots[i] / next.SecondScale[block]) * 255, -1, 1.0001);
                Assert.True(code > 0, "A gradient that is not 0 leaves a second moment.");
            }
        }
    }

    /// <summary>
    /// Gradients become a fifth larger, but for the largest of each block, which keeps the scales where they are. The averages then move by ever less than half a step of their codes; in the mean over steps they still arrive
    /// where they belong, to half a step. Rounded to the nearest they would stay up to ten steps away.
    /// </summary>
    [Fact]
    public void Averages_BesideALargerElement_FollowTheirGradients()
    {
        const int changed = 100, measured = 250, steps = 300;
        float[] before = [.. KernelHarness.Normal(Count, 1).Select((value, i) => i % Block == 0 ? 1 : MathF.CopySign(0.05f + MathF.Abs(value) % 0.45f, value))];
        float[] after = [.. before.Select((g, i) => i % Block == 0 ? g : 1.2f * g)];
        double[] first = new double[Count], root = new double[Count];
        var state = new State();
        for (int step = 1; step <= steps; step++)
        {
            state = state.Step(null, step <= changed ? before : after, step);
            for (int i = 0; step > measured && i < Count; i++) (first[i], root[i]) = (first[i] + state.FirstMoment(i), root[i] + Math.Sqrt(state.SecondMoment(i)));
        }
        for (int i = 0; i < Count; i++)
        {
            double share = Math.Sqrt(Math.Abs(after[i]));
            Assert.Equal(after[i], first[i] / (steps - measured), Math.Abs(after[i]) * HalfStep(127 * share));
            Assert.Equal(Math.Abs(after[i]), root[i] / (steps - measured), Math.Abs(after[i]) * HalfStep(255 * share));
        }

        static double HalfStep(double code) => (Math.Pow((code + 1) / code, 2) - 1) / 2;
    }

    [Fact]
    public void InPlace_AndOneThread_GiveTheSameBits()
    {
        State start = new State().Step(null, Gradient(1), 1), expected = start.Step(null, Gradient(2), 2);
        State scalar = start.Step(null, Gradient(2), 2, threads: 1);
        Assert.Equal(expected.Parameter, scalar.Parameter);
        Assert.Equal(expected.First, scalar.First);

        using var session = new OrtSession(State.Node().Model(), new SessionSettings { Threads = 2 });
        TensorBuffer[] inputs = start.Inputs(Gradient(2), 2, 1);
        using BoundSession bound = session.Bind();
        for (int i = 0; i < inputs.Length; i++) bound.Input($"in{i}", inputs[i]);
        foreach (var (output, input) in new[] { 0, 2, 3, 4, 5 }.Index()) bound.Output($"out{output}", inputs[input]);
        bound.Run();
        Assert.Equal(expected.Parameter, inputs[0].Span<float>());
        Assert.Equal(expected.First, inputs[2].Span<sbyte>());
        Assert.Equal(expected.FirstScale, inputs[3].Span<float>());
        Assert.Equal(expected.Second, inputs[4].Span<sbyte>());
        Assert.Equal(expected.SecondScale, inputs[5].Span<float>());
        foreach (TensorBuffer input in inputs) input.Dispose();
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void ScaleNotFinite_ChangesNothing(float scale)
    {
        State start = new State().Step(null, Gradient(1), 1), same = start.Step(null, Gradient(2), 2, scale: scale);
        Assert.Equal(start.Parameter, same.Parameter);
        Assert.Equal(start.First, same.First);
        Assert.Equal(start.FirstScale, same.FirstScale);
        Assert.Equal(start.Second, same.Second);
        Assert.Equal(start.SecondScale, same.SecondScale);
    }

    [Fact]
    public void OddCount_FailsWithTheReason()
    {
        var error = Assert.ThrowsAny<Exception>(() => KernelHarness.RunAny(
            State.Node(), null, 1, TensorBuffer.Of(new float[65], 65), TensorBuffer.Of(new float[65], 65), State.Bytes(new sbyte[65]), TensorBuffer.Of([0f], 1), State.Bytes(new sbyte[65]), TensorBuffer.Of([0f], 1),
            TensorBuffer.Of([Rate]), TensorBuffer.Of([1f]), TensorBuffer.Of([1f]), TensorBuffer.Of([1f]), TensorBuffer.Of([0f])));
        Assert.Contains("blocks of 64 elements, it has 65", error.Message);
    }

    /// <summary>Sizes from 1e-9 to 1e3 by block, and within a block over four powers of ten.</summary>
    private static float[] Gradient(int seed)
    {
        float[] values = KernelHarness.Normal(Count, seed);
        return [.. values.Select((value, i) => (value + MathF.CopySign(0.01f, value)) * MathF.Pow(10, i / Block % 13 - 9) * MathF.Pow(10, -(i % 5)))];
    }

    private sealed class State
    {
        public float[] Parameter { get; init; } = KernelHarness.Normal(Count, 7);

        public sbyte[] First { get; init; } = new sbyte[Count];

        public sbyte[] Second { get; init; } = new sbyte[Count];

        public float[] FirstScale { get; init; } = new float[Blocks];

        public float[] SecondScale { get; init; } = new float[Blocks];

        public double FirstMoment(int i) => FirstScale[i / Block] * First[i] * Math.Abs((double)First[i]) / (127 * 127);

        public double SecondMoment(int i) => Math.Pow(SecondScale[i / Block] * Math.Pow((Second[i] + 128) / 255.0, 2), 2);

        public static OneNode Node() => KernelHarness.Node("QuantizedAdamW", ("beta1", Beta1), ("beta2", Beta2), ("epsilon", 1e-8f), ("weight_decay", Decay));

        public static TensorBuffer Bytes(sbyte[] values)
        {
            TensorBuffer buffer = TensorBuffer.Zeros(OnnxLlm.Graphs.ElementType.Int8, values.Length);
            values.CopyTo(buffer.Span<sbyte>());
            return buffer;
        }

        public State Step(string? width, float[] gradient, int step, float scale = 1, int threads = 2)
        {
            Array[] result = KernelHarness.RunAny(Node(), width, threads, Inputs(gradient, step, scale));
            return new()
            {
                Parameter = (float[])result[0],
                First = [.. ((byte[])result[1]).Select(b => (sbyte)b)],
                FirstScale = (float[])result[2],
                Second = [.. ((byte[])result[3]).Select(b => (sbyte)b)],
                SecondScale = (float[])result[4],
            };
        }

        public TensorBuffer[] Inputs(float[] gradient, int step, float scale) =>
        [
            TensorBuffer.Of(Parameter, Count), TensorBuffer.Of(gradient, Count), Bytes(First), TensorBuffer.Of(FirstScale, Blocks), Bytes(Second), TensorBuffer.Of(SecondScale, Blocks),
            TensorBuffer.Of([Rate]), TensorBuffer.Of([scale]), TensorBuffer.Of([(float)(1 - Math.Pow(Beta1, step))]), TensorBuffer.Of([(float)(1 - Math.Pow(Beta2, step))]),
            TensorBuffer.Of([(float)(step * 0.6180339887498949 % 1)]),
        ];
    }
}
