using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime.Memory;

namespace OnnxLlm.Tests.Runtime;

public sealed class MemoryPlanTests
{
    private const long Page = 4096;

    [Fact]
    public void Arena_TakesWhatWasFreed_BeforeItTouchesNewPages()
    {
        var arena = new Arena();
        var first = arena.Allocate(8 * Page);
        arena.Allocate(Page);
        arena.Free(first);
        arena.Allocate(3 * Page);
        arena.Allocate(5 * Page);
        Assert.Equal(9 * Page, arena.Touched);
    }

    [Fact]
    public void Arena_JoinsNeighbours_ThatAreFree()
    {
        var arena = new Arena();
        var (a, b, c) = (arena.Allocate(2 * Page), arena.Allocate(2 * Page), arena.Allocate(2 * Page));
        arena.Allocate(Page);
        foreach (var chunk in new[] { a, c, b }) arena.Free(chunk);
        Assert.Equal((0, 0L), (arena.Allocate(6 * Page).Region, a.Offset));
        Assert.Equal(7 * Page, arena.Touched);
    }

    /// <summary>A region that is too small is left alone; the next is as large as a power of two needs to be.</summary>
    [Fact]
    public void Arena_CountsOnlyTouchedPages_OfALargerRegion()
    {
        var arena = new Arena();
        var chunk = arena.Allocate(700 * Page);
        Assert.Equal((0, 0L), (chunk.Region, chunk.Offset));
        Assert.Equal(700 * Page, arena.Touched);
    }

    /// <summary>x → exp → a (kept for the end); a → tanh in its own memory is impossible while a is read later.</summary>
    [Fact]
    public void Peak_IsWhatIsAliveAtOnce()
    {
        var g = new GraphBuilder();
        var x = g.Input("x", ElementType.Float, [1024, 4]);
        var a = g.Exp(x);
        var b = g.Softmax(g.Softmax(a));
        g.Output("y", g.Softmax(a + b));
        Assert.Equal(3 * 16384, Activations.Peak(g.Build()));
    }

    [Fact]
    public void Peak_OfAChain_IsOneTensor_WhereEachMayOverwriteTheLast()
    {
        var g = new GraphBuilder();
        var x = g.Tanh(g.Sigmoid(g.Reshape(g.Tanh(g.Input("x", ElementType.Float, [1024, 4])), [4096])));
        g.Output("y", g.ReduceSum(x, false));
        Assert.Equal(16384 + Page, Activations.Peak(g.Build()), Page);
    }

    /// <summary>The softmax's memory is kept for the last product, which has its shape, so the product of another shape between them cannot have it.</summary>
    [Fact]
    public void Peak_OfMemoryKeptForALaterValueOfItsShape_CountsWhatLiesBetween()
    {
        var g = new GraphBuilder();
        var x = g.Input("x", ElementType.Float, [1024, 4]);
        var between = g.Reshape(x, [4096]) * g.ReduceSum(g.Softmax(x), false);
        g.Output("y", g.ReduceSum(x * g.ReduceSum(between, false), false));
        Assert.Equal(2 * 16384 + Page, Activations.Peak(g.Build()), Page);
    }

    /// <summary>A sum has memory of its own beside that of its terms.</summary>
    [Fact]
    public void Peak_OfASum_HoldsItsTerms()
    {
        var g = new GraphBuilder();
        var x = g.Input("x", ElementType.Float, [1024, 4]);
        g.Output("y", g.ReduceSum(g.Softmax(x) + g.Softmax(x * x), false));
        Assert.Equal(3 * 16384 + Page, Activations.Peak(g.Build()), Page);
    }

    [Fact]
    public void Checkpointing_LowersThePrediction_ByMoreThanHalf_InADeepModel()
    {
        long kept = Step(ActivationCheckpointing.None, new());
        Assert.Equal(kept, Step(ActivationCheckpointing.Selective, new()));     // what norms and activations gave is not kept in any case
        Assert.InRange(Step(ActivationCheckpointing.Block, new()), 0, 0.5 * kept);
        var rounded = new StepSettings { Precision = Precision.Bf16, Rounded = true };
        Assert.InRange(Step(ActivationCheckpointing.Selective, rounded), 0, 0.9 * Step(ActivationCheckpointing.None, rounded));

        static long Step(ActivationCheckpointing kind, StepSettings settings) => MemoryPlan
            .Of(TrainingGraphs.Create(Config(16), new(4, 64), new(), settings with { Checkpointing = kind })).Items.Single(i => i.Name == "activations of a step").Bytes;
    }

    /// <summary>Two threads: products pack at most 256 rows of 64, since a gradient packs the smaller of its factors; the loss has a chunk of 256 rows of 64 logits beside that; attention's gradient needs five times a head's keys in each thread.</summary>
    [Fact]
    public void Scratch_IsTheLargestBlocks_OfWhateverNodeNeedsThem()
    {
        var step = Graphs(ActivationCheckpointing.None, 1).Step;
        long packed = 256 * 64, logits = 256 * 64, part = 96 * 256, attention = 5 * 64 * 16;
        Assert.Equal(4 * (2 * part + packed + logits), KernelScratch.Peak([step], threads: 2));
        Assert.True(attention < packed);
    }

    /// <summary>Beside what a step needs, that of a validation or the largest part of the state, whichever is more.</summary>
    [Theory]
    [InlineData(4, 64)]
    [InlineData(1, 8)]
    public void OffloadedState_CountsItsLargestPart_WhereAValidationDoesNotNeedMore(int batch, int time)
    {
        const long part = 200_000;
        var setup = new TrainingSetup { Model = Config(4), Shape = new(batch, time), Optimizer = new() };
        var graphs = TrainingGraphs.Create(setup);
        long Item(MemoryPlan plan, string name) => plan.Items.Single(i => i.Name == name).Bytes;
        MemoryPlan whole = MemoryPlan.Of(graphs), offloaded = MemoryPlan.Of(new PlannedRun(graphs, 2) { Offloaded = OptimizerParts.Of(setup, part) });
        long validation = Item(whole, "activations of a validation"), turns = Item(offloaded, "a validation or optimizer state");
        Assert.Equal(Item(whole, "activations of a step"), Item(offloaded, "activations of a step"));
        if (batch > 1) Assert.Equal(validation, turns);
        else Assert.InRange(turns, Math.Max(validation, part / 2), 1.5 * part);
    }

    /// <summary>Stages have one step graph at a time, so the largest counts; graphs that look at the model come on top.</summary>
    [Fact]
    public void OtherShapes_CountWhereTheyAreLarger_AndAuxiliaryGraphsAlways()
    {
        var (small, large) = (Graphs(ActivationCheckpointing.None, 2), TrainingGraphs.Create(Config(2), new(8, 64), new()));
        long Step(PlannedRun run) => MemoryPlan.Of(run).Items.Single(i => i.Name == "activations of a step").Bytes;
        Assert.Equal(Step(new(large, 2)), Step(new(small, 2) { OtherSteps = [large.Step] }));
        Assert.Equal(Step(new(large, 2)), Step(new(large, 2) { OtherSteps = [small.Step] }));

        var sampling = SamplingGraph.Create(Config(2), 64);
        var (plain, sampled) = (MemoryPlan.Of(new PlannedRun(small, 2)), MemoryPlan.Of(new PlannedRun(small, 2) { Auxiliary = [sampling] }));
        Assert.Equal(Activations.Peak(sampling), sampled.Items.Single(i => i.Name == "statistics and samples").Bytes);
        Assert.True(sampled.Total > plain.Total);
    }

    [Fact]
    public void State_IsExact()
    {
        var plan = MemoryPlan.Of(Graphs(ActivationCheckpointing.None, 2));
        long parameters = 4 * ModelParameters.Count(Config(2));
        Assert.Equal([parameters, parameters, 2 * parameters], plan.Items.Take(3).Select(i => i.Bytes));
        Assert.Equal(plan.Items.Sum(i => i.Bytes), plan.Total);
    }

    private static TrainingGraphs Graphs(ActivationCheckpointing kind, int layers) =>
        TrainingGraphs.Create(Config(layers), new(4, 64), new(), new StepSettings { Checkpointing = kind });

    private static ModelConfig Config(int layers) => new()
    {
        Family = ModelFamily.Gpt2,
        VocabularySize = 64,
        Width = 64,
        Layers = layers,
        Heads = 4,
        KeyValueHeads = 4,
        FeedForward = 256,
        MaxPositions = 64,
        TiedEmbeddings = true,
    };
}
