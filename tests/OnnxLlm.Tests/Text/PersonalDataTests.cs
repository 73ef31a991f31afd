using OnnxLlm.Text.Privacy;

namespace OnnxLlm.Tests.Text;

public sealed class PersonalDataTests
{
    [Theory]
    [InlineData("Write to ada.lovelace+1@example.co.uk.", "Write to [EMAIL].")]
    [InlineData("the host 192.168.0.1 and fe80:0:0:0:1:2:3:4", "the host [IP_ADDRESS] and [IP_ADDRESS]")]
    [InlineData("card 4111 1111 1111 1111, thanks", "card [PAYMENT_CARD], thanks")]
    [InlineData("card 4111-1111-1111-1111", "card [PAYMENT_CARD]")]
    [InlineData("id 11010519491231002X.", "id [ID_NUMBER].")]
    [InlineData("call +44 20 7946 0958 now", "call [PHONE] now")]
    [InlineData("call (202) 555-0143 or 202-555-0143", "call [PHONE] or [PHONE]")]
    [InlineData("电话13912345678，谢谢", "电话[PHONE]，谢谢")]
    [InlineData("tel 13912345678", "tel [PHONE]")]
    [InlineData("a@example.org,b@example.org", "[EMAIL],[EMAIL]")]
    public void Replace_MasksWhatIdentifiesPeople(string text, string expected) => Assert.Equal(expected, PersonalData.Replace(text));

    [Theory]
    [InlineData("card 4111 1111 1111 1112")]                // checksum off by one
    [InlineData("id 110105194912310021")]
    [InlineData("id 110105194913310026")]                   // the thirteenth month
    [InlineData("the host 192.168.0.256")]
    [InlineData("version 1.2.3.4.5")]
    [InlineData("in 1914, 1,234,567,890 people")]
    [InlineData("order 202555014")]
    [InlineData("an @ sign, a@b, and user@localhost")]
    [InlineData("0000 0000 0000 0000")]
    [InlineData("from 2024-01-15 to 2024-02-20")]
    public void Replace_LeavesNearMissesAlone(string text) => Assert.Equal(text, PersonalData.Replace(text));

    [Fact]
    public void Find_OfCheckedNumbers_FindsAll_AndNoneWithAnotherCheckDigit()
    {
        var random = new Random(5);
        for (var i = 0; i < 500; i++)
        {
            var digits = string.Concat(Enumerable.Range(0, 15).Select(n => (char)('0' + (n == 0 ? 4 : random.Next(10)))));
            var right = Enumerable.Range(0, 10).Select(check => digits + check).Where(card => PersonalData.Find($"card {card}.").Any(datum => datum.Kind == "payment_card")).ToArray();
            Assert.Single(right);
        }
    }
}
