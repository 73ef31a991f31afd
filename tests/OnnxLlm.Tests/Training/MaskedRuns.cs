using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Training;

/// <summary>
/// Runs of a tiny encoder whose data is a cycle of 61 tokens, each of which tells those around it; some windows hold nothing but separators.
/// </summary>
public abstract class MaskedRuns : TinyRuns
{
    private protected const int Time = 16;

    private protected static readonly string[] Small =
    [
        "model.vocab_size=261", "model.hidden_size=64", "model.num_hidden_layers=2", "model.intermediate_size=128", $"model.max_position_embeddings={Time}",
        "global_batch=16", "micro_batch=8", "optimizer.learning_rate=3e-3", "schedule.warmup_steps=1", "log_every=1", "evaluate_tokens=2048",
    ];

    private protected MaskedRuns() => WriteData(["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>", BpeSettings.MaskToken]);

    private protected override string ConfigName => "bert.json";

    private protected Outcome Run(string run, params string[] overrides) => Start(run, [.. Small, .. overrides]);

    private protected void WriteData(string[] special)
    {
        var tokenizer = BpeTrainer.Train(["ab"], new BpeSettings { VocabularySize = 261, SpecialTokens = [.. special] });
        tokenizer.Save(Data);
        using var writer = new ShardWriter(Data, new ShardSettings { VocabularySize = 261, Separator = 0, TokenizerHash = tokenizer.Hash, CorpusHash = "cycle" });
        writer.Add(Split.Train, "a", Cycle(0, 8000));
        writer.Add(Split.Valid, "b", Cycle(17, 2000));
        writer.Finish();
    }

    /// <summary>Every fifth window is of separators.</summary>
    private protected static int[] Cycle(int from, int count) => [.. Enumerable.Range(from, count).Select((at, i) => i / Time % 5 == 4 ? 0 : 5 + 7 * at % 61)];
}
