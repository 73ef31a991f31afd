using OnnxLlm.Graphs.Models;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Tests.Training;

public sealed class PairSequencesTests
{
    private const int End = 1, Start = 0;

    private static readonly ModelConfig Model = ModelConfig.Preset("t5-small");

    [Fact]
    public void Pair_IsReadToItsEnd_AndWrittenOnePlaceLater()
    {
        var batch = Pack(5, ([7, 8], [9, 10, 11]));
        Assert.Equal([7, 8, End, 0, 0], batch.InputIds);
        Assert.Equal([1, 1, 1, 0, 0], batch.AttentionMask);
        Assert.Equal([Start, 9, 10, 11, 0], batch.DecoderInputIds);
        Assert.Equal([9, 10, 11, End, -100], batch.Labels);
        Assert.Equal((4, 7), (batch.ValidTokens, batch.Tokens));
    }

    [Fact]
    public void TextsThatAreTooLong_AreCutBeforeTheirEnd()
    {
        var batch = Pack(3, ([5, 6, 7, 8], [9, 10, 11]));
        Assert.Equal([5, 6, End], batch.InputIds);
        Assert.Equal([9, 10, End], batch.Labels);
        Assert.Equal([Start, 9, 10], batch.DecoderInputIds);
        Assert.Equal(2, new PairSequences([([5, 6, 7, 8], [9]), ([5], [9, 10, 11]), ([5, 6], [9, 10])], 3, Model).Shortened);
    }

    [Fact]
    public void BlankRows_HaveNothingToLearn()
    {
        var sequences = new PairSequences([([7], [9])], 2, Model);
        var batch = TokenDataset.Pack(sequences, 2, row => row == 0 ? (0, 0) : null);
        Assert.Equal([7, End, 0, 0], batch.InputIds);
        Assert.Equal([1, 1, 0, 0], batch.AttentionMask);
        Assert.Equal([9, End, -100, -100], batch.Labels);
        Assert.Equal((1, 2, 4), ((int)sequences.Count, batch.ValidTokens, batch.Tokens));
    }

    private static MicroBatch Pack(int length, (int[] Input, int[] Target) pair) => TokenDataset.Pack(new PairSequences([pair], length, Model), 1, _ => (0, 0));
}
