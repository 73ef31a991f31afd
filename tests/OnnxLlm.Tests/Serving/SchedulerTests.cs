using OnnxLlm.Serving.Engine;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

public sealed class SchedulerTests
{
    private Scheduler _scheduler = new(slots: 3, prefillChunk: 4);

    [Fact]
    public void Plan_WithNothingToDo_IsEmpty() => Assert.True(_scheduler.Plan().IsEmpty);

    [Fact]
    public void Plan_OfALongPrompt_ReadsItInChunks()
    {
        _scheduler.Enqueue(Create(new int[10], 2));
        var chunks = new List<(int Start, int Length, bool IsLast)>();
        for (var i = 0; i < 3; i++)
        {
            var chunk = Step().Prefill!;
            chunks.Add((chunk.Start, chunk.Length, chunk.IsLast));
        }

        Assert.Equal([(0, 4, false), (4, 4, false), (8, 2, true)], chunks);
    }

    [Fact]
    public void Plan_WhileAPromptIsRead_DecodesTheOthers()
    {
        var first = Running();
        _scheduler.Enqueue(Create(new int[8], 2));
        var plan = Step();
        Assert.Equal([first], plan.Decode);
        Assert.Equal((1, 0), (plan.Prefill!.Slot, plan.Prefill.Start));
    }

    /// <summary>A guess would be no decode, which is what is to be seen.</summary>
    [Fact]
    public void Plan_WhenNothingMayBeRead_DecodesAndNoMore()
    {
        _scheduler = new(slots: 3, prefillChunk: 4) { Speculation = 4 };
        var first = Running();
        for (var i = 0; i < 3; i++) Step();
        Assert.NotEmpty(_scheduler.Plan().Draft);
        _scheduler.Enqueue(Create(new int[8], 2));
        Step();
        _scheduler.PrefillChunk = 0;
        var plan = Step();
        Assert.Equal([first], plan.Decode);
        Assert.Null(plan.Prefill);
        Assert.Empty(plan.Draft);
        _scheduler.PrefillChunk = 4;
        Assert.Equal(4, Step().Prefill!.Start);
    }

    [Fact]
    public void Plan_WhenSlotsAreFull_LeavesTheRestWaiting()
    {
        for (var i = 0; i < 5; i++) _scheduler.Enqueue(Create([1], 9));
        for (var i = 0; i < 6; i++) Step();
        Assert.Equal((3, 2), (_scheduler.Running, _scheduler.Waiting));
    }

    [Fact]
    public void Commit_OfAnEndToken_FreesTheSlotAndClosesTheHole()
    {
        Sequence[] three = [Running(), Running(), Running()];
        var ended = _scheduler.Commit(_scheduler.Plan(), [new(three[0], Ends, null)]);
        Assert.Equal([three[0]], ended);
        Assert.Equal(FinishReason.Stop, three[0].Finish);
        var plan = _scheduler.Plan();
        Assert.Equal([Transfer.Copy(2, 0)], plan.Transfers);
        Assert.Equal([three[2], three[1]], plan.Decode);
    }

    [Fact]
    public void Commit_OfTheLastSlot_MovesNothing()
    {
        Sequence[] two = [Running(), Running()];
        _scheduler.Commit(_scheduler.Plan(), [new(two[1], Ends, null)]);
        Assert.Empty(_scheduler.Plan().Transfers);
    }

    [Fact]
    public void Cancelled_BeforeAPromptIsRead_MovesTheDecodedAndTheReading()
    {
        using var cancel = new CancellationTokenSource();
        var first = Running(cancelled: cancel.Token);
        var second = Running();
        var reading = Create(new int[8], 2);
        _scheduler.Enqueue(reading);
        Step();
        cancel.Cancel();

        var plan = _scheduler.Plan();
        Assert.Equal([Transfer.Copy(1, 0), Transfer.Copy(2, 1)], plan.Transfers);
        Assert.Equal([second], plan.Decode);
        Assert.Equal((1, 4), (plan.Prefill!.Slot, plan.Prefill.Start));
        Assert.Null(first.Finish);
    }

    [Fact]
    public void Cancelled_WhileWaiting_NeverRuns()
    {
        using var cancel = new CancellationTokenSource();
        _scheduler.Enqueue(Create([1], 2, cancelled: cancel.Token));
        cancel.Cancel();
        Assert.True(_scheduler.Plan().IsEmpty);
        Assert.False(_scheduler.HasWork);
    }

    [Fact]
    public void MaxTokens_Reached_EndsWithLength()
    {
        var sequence = Running(maxTokens: 2);
        Step();
        Assert.Equal(FinishReason.Length, sequence.Finish);
        Assert.Equal((2, 0), (sequence.Generated, _scheduler.Running));
    }

    /// <summary>What was to be dropped before a fault is dropped after it: nobody else remembers it.</summary>
    [Fact]
    public void TakeRunning_BeforeADropWasDone_DropsItAllTheSame()
    {
        var scheduler = new Scheduler(slots: 3, prefillChunk: 4, new PrefixCache(bytes: 4, size: length => length, shortest: 2));
        foreach (var prompt in (int[][])[[1, 2, 3], [4, 5, 6]])
        {
            scheduler.Enqueue(Create(prompt, 1));
            var plan = scheduler.Plan();
            scheduler.Commit(plan, Samples(plan));
        }

        scheduler.TakeRunning();
        Assert.Equal([Transfer.Drop(0), Transfer.Drop(1)], scheduler.Plan().Transfers);
    }

    /// <summary>A position takes a byte.</summary>
    [Theory]
    [InlineData(2, 0)]
    [InlineData(3, 1)]
    public void Urgent_WithoutMemoryForWhomItInterrupts_Waits(int bytes, int preempted)
    {
        var prefixes = new PrefixCache(bytes, size: length => length, shortest: 100);
        var scheduler = new Scheduler(slots: 1, prefillChunk: 4, prefixes);
        using var cancel = new CancellationTokenSource();
        scheduler.Enqueue(Create([1, 2, 3], 9, cancelled: cancel.Token));
        var plan = scheduler.Plan();
        scheduler.Commit(plan, Samples(plan));
        scheduler.Enqueue(new Sequence { Prompt = [4], MaxTokens = 1, Priority = 1, Output = Create([1], 1).Output });
        Assert.Equal(1 - preempted, scheduler.Plan().Decode.Count);
        Assert.Equal((preempted, 1), ((int)scheduler.Preemptions, scheduler.Waiting));

        // Who goes while he waits gives his memory back.
        cancel.Cancel();
        for (plan = scheduler.Plan(); !plan.IsEmpty; plan = scheduler.Plan()) scheduler.Commit(plan, Samples(plan));
        Assert.Equal((0, 0L), (scheduler.Running, prefixes.Bytes));
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 3)]
    public void Chunk_OfAScoredPrompt_IsOneTokenOnlyWhereTheModelGivesOneScore(bool scoresChunks, int steps)
    {
        var scheduler = new Scheduler(slots: 3, prefillChunk: 4) { ScoresChunks = scoresChunks };
        scheduler.Enqueue(new Sequence { Prompt = [1, 2, 3], MaxTokens = 0, ScoresPrompt = true, Output = Create([1], 1).Output });
        for (var i = 0; i < steps; i++)
        {
            var plan = scheduler.Plan();
            Assert.Equal(3 / steps, plan.Prefill!.Length);
            scheduler.Commit(plan, []);
        }

        Assert.False(scheduler.HasWork);
    }

    [Fact]
    public void Pool_AfterAnyOrderOfComingsAndGoings_HasNoHole()
    {
        var random = new Random(11);
        var scheduler = new Scheduler(slots: 4, prefillChunk: 2);
        var model = new Dictionary<int, Sequence>();       // what a runner's slots would hold
        for (var step = 0; step < 2000; step++)
        {
            if (random.Next(3) == 0) scheduler.Enqueue(Create(new int[1 + random.Next(6)], 1 + random.Next(9)));
            var plan = scheduler.Plan();
            foreach (var transfer in plan.Transfers) model[transfer.To] = model[transfer.From];
            if (plan.Prefill is { } chunk)
            {
                if (chunk.Start == 0) model[chunk.Slot] = chunk.Sequence;
                Assert.Equal(plan.Decode.Count, chunk.Slot);
                Assert.Same(model[chunk.Slot], chunk.Sequence);
            }

            for (var slot = 0; slot < plan.Decode.Count; slot++) Assert.Same(model[slot], plan.Decode[slot]);
            scheduler.Commit(plan, Samples(plan));
        }
    }

    private const int Ends = 7;

    private Sequence Running(int maxTokens = 99, CancellationToken cancelled = default)
    {
        var sequence = Create([1], maxTokens, ends: [Ends], cancelled: cancelled);
        _scheduler.Enqueue(sequence);
        Step();
        return sequence;
    }

    private StepPlan Step()
    {
        var plan = _scheduler.Plan();
        _scheduler.Commit(plan, Samples(plan));
        return plan;
    }

    private static List<Sample> Samples(StepPlan plan)
    {
        var samples = plan.Decode.Select(sequence => new Sample(sequence, 5, null)).ToList();
        if (plan.Prefill is { IsLast: true, Sequence.MaxTokens: > 0 } last) samples.Add(new Sample(last.Sequence, 5, null));
        return samples;
    }
}
