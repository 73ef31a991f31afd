using OnnxLlm.Text;
using OnnxLlm.Tools;

namespace OnnxLlm.Tests.Text;

public sealed class ToolCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Prepare_SampleCorpus_IsFoundAndHasAllSpeeches()
    {
        var (code, output, error) = Run("corpus", "prepare", "--source", "sotu", "--out", _folder.File("c"));
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("documents: 223 to learn from (10.3 MB), 10 held out", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Commands_FromTextsToShards_RunAndThenAreUpToDate()
    {
        for (int i = 0; i < 4; i++)
            File.Copy(Sotu.Files[i], _folder.Write($"source/{i}.txt", ""), overwrite: true);
        string[][] steps =
        [
            ["corpus", "prepare", "--source", _folder.File("source"), "--out", _folder.File("c")],
            ["tokenizer", "train", "--corpus", _folder.File("c"), "--vocab", "300", "--out", _folder.File("c/tokenizer")],
            ["corpus", "tokenize", "--corpus", _folder.File("c"), "--tokenizer", _folder.File("c/tokenizer"), "--out", _folder.File("c/shards")],
        ];
        foreach (string[] step in steps)
        {
            var first = Run(step);
            Assert.Equal((0, ""), (first.Code, first.Error));
            Assert.DoesNotContain("up to date", first.Output, StringComparison.Ordinal);
            Assert.StartsWith("up to date", Run(step).Output, StringComparison.Ordinal);
            Assert.DoesNotContain("up to date", Run([.. step, "--force"]).Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Tokenizer_TrainedWithAMask_HasOne_AndWithoutHasNone()
    {
        for (int i = 0; i < 4; i++)
            File.Copy(Sotu.Files[i], _folder.Write($"source/{i}.txt", ""), overwrite: true);
        Assert.Equal(0, Run("corpus", "prepare", "--source", _folder.File("source"), "--out", _folder.File("c")).Code);
        foreach (string[] mask in (string[][])[["--mask"], []])
        {
            string folder = _folder.File($"tokenizer{mask.Length}");
            Assert.Equal(0, Run(["tokenizer", "train", "--corpus", _folder.File("c"), "--vocab", "300", "--out", folder, .. mask]).Code);
            Assert.Equal(mask.Length == 1 ? 4 : (int?)null, Tokenizer.Load(folder).Special.Mask);
        }

        Assert.Equal(0, Run("tokenizer", "train", "--corpus", _folder.File("c"), "--vocab", "300", "--out", _folder.File("spans"), "--mask", "--sentinels", "3").Code);
        Assert.Equal([5, 6, 7], BpeSettings.Sentinels.Take(3).Select(spelling => Tokenizer.Load(_folder.File("spans")).Special.Ids[spelling]));
    }

    [Fact]
    public void Tokenizer_EncodeAndDecode_AreInverse()
    {
        string ids = Run("tokenizer", "encode", "--tokenizer", Gpt2.Folder, "Hello, world!<|endoftext|>", "--special").Output.Trim();
        Assert.Equal("15496 11 995 0 50256", ids);
        Assert.Equal("Hello, world!<|endoftext|>", Run(["tokenizer", "decode", "--tokenizer", Gpt2.Folder, .. ids.Split(' ')]).Output.Trim());
        Assert.DoesNotContain("50256", Run("tokenizer", "encode", "--tokenizer", Gpt2.Folder, "<|endoftext|>").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("missing.txt", null, "does not exist")]
    [InlineData("empty.txt", "", "is empty")]
    [InlineData("blank.txt", " \n\n\n ", "is empty")]
    [InlineData("single.txt", "just one text", "holds one document")]
    [InlineData("nul.txt", "\0\0\0\0\0\0\0abc", "looks like a binary file")]
    [InlineData("bad.jsonl", "oops\noops", "bad.jsonl:1: is not valid JSON")]
    [InlineData("table.csv", "a,b", "neither a .txt nor a .jsonl")]
    public void Prepare_BadSource_IsOneLineAndExitCodeTwo(string name, string? content, string expected)
    {
        if (content is not null)
            _folder.Write(name, content);
        AssertUserError(Run("corpus", "prepare", "--source", _folder.File(name), "--out", _folder.File("c")), expected);
    }

    [Fact]
    public void Prepare_IntoItsOwnSource_IsRefused()
    {
        _folder.Write("source/a.txt", "text");
        AssertUserError(Run("corpus", "prepare", "--source", _folder.File("source"), "--out", _folder.File("source")), "into its own source");
        AssertUserError(Run("corpus", "prepare", "--source", _folder.File("source"), "--out", _folder.File("source/deeper")), "into its own source");
    }

    [Fact]
    public void Commands_MissingInputs_AreOneLineAndExitCodeTwo()
    {
        string missing = _folder.File("missing"), target = _folder.File("out");
        AssertUserError(Run("tokenizer", "train", "--corpus", missing, "--out", target), "there is no corpus in");
        AssertUserError(Run("corpus", "tokenize", "--corpus", missing, "--tokenizer", Gpt2.Folder, "--out", target), "there is no corpus in");
        AssertUserError(Run("tokenizer", "encode", "--tokenizer", missing, "text"), "does not exist");
        AssertUserError(Run("corpus", "prepare", "--source", "sotu", "--out", _folder.Write("file", "") + "/below"), "file");
    }

    [Theory]
    [InlineData("'frobnicate' is not known", "frobnicate")]
    [InlineData("'--colour' is not known", "corpus", "prepare", "--source", "a", "--out", "b", "--colour")]
    [InlineData("Option '--out' is required", "corpus", "prepare", "--source", "a")]
    [InlineData("Cannot parse argument 'many'", "tokenizer", "train", "--corpus", "a", "--out", "b", "--vocab", "many")]
    [InlineData("Required command was not provided", "corpus")]
    public void Run_WrongUse_IsOneLineAndExitCodeTwo(string expected, params string[] args) => AssertUserError(Run(args), expected);

    [Fact]
    public void Run_Help_ListsTheCommands()
    {
        var (code, output, _) = Run("--help");
        Assert.Equal(0, code);
        Assert.Contains("corpus", output, StringComparison.Ordinal);
        Assert.Contains("tokenizer", output, StringComparison.Ordinal);
    }

    private static (int Code, string Output, string Error) Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code = ToolsProgram.Run(args, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private static void AssertUserError((int Code, string Output, string Error) result, string expected)
    {
        Assert.Equal(2, result.Code);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
        Assert.StartsWith("error: ", result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.TrimEnd().Split('\n'));
    }
}
